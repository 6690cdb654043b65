/** What the Redis user of countersign may do on a single server and behind Sentinels. The operator's documentation says the same. */
export const SERVER_ACL = (
  'resetkeys ~cs:* resetchannels -@all +get +set +del +getdel +eval +evalsha +script|load +info +time +wait ' +
  '+ping +hello +auth +select +client|setname'
).split(' ');
