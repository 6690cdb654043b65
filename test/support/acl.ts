/** What the Redis user of countersign may do; `docs/redis.md` says the same, word for word. */

/** On a single server and behind Sentinels. */
export const SERVER_ACL = (
  'resetkeys ~cs:* resetchannels -@all +get +set +del +getdel +eval +evalsha +script|load +info +time +wait ' +
  '+ping +hello +auth +select +client|setname'
).split(' ');

/** In a Cluster besides. */
export const CLUSTER_ACL = '+cluster|slots +cluster|info +asking'.split(' ');

/** Of the user towards the Sentinels. */
export const SENTINEL_ACL = (
  '-@all +auth +hello +ping +client|setname +sentinel|get-master-addr-by-name +sentinel|sentinels +sentinel|replicas ' +
  '+sentinel|slaves +subscribe resetchannels &+switch-master'
).split(' ');
