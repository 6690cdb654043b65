/**
 * Records by expiry, soonest first: a binary heap whose members know their place, so that one that goes early leaves
 * nothing behind. What expiry means is the memory store's business.
 */
export interface Expiring {
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** Kept by the heap. */
  place: number;
}

export interface ExpiryHeap<Member extends Expiring> {
  soonest(): Member | undefined;
  add(member: Member): void;
  remove(member: Member): void;
}

export function createExpiryHeap<Member extends Expiring>(): ExpiryHeap<Member> {
  const members: Member[] = [];

  const put = (member: Member, place: number) => {
    members[place] = member;
    member.place = place;
  };

  const rise = (member: Member) => {
    let place = member.place;
    while (place > 0) {
      const parentPlace = (place - 1) >> 1;
      const parent = members[parentPlace] as Member;
      if (parent.expiresAtMs <= member.expiresAtMs) break;
      put(parent, place);
      place = parentPlace;
    }
    put(member, place);
  };

  const sink = (member: Member) => {
    let place = member.place;
    for (;;) {
      const left = members[2 * place + 1];
      const right = members[2 * place + 2];
      const child = right !== undefined && left !== undefined && right.expiresAtMs < left.expiresAtMs ? right : left;
      if (child === undefined || member.expiresAtMs <= child.expiresAtMs) break;
      const childPlace = child.place;
      put(child, place);
      place = childPlace;
    }
    put(member, place);
  };

  return {
    soonest: () => members[0],
    add(member) {
      put(member, members.length);
      rise(member);
    },
    remove(member) {
      const last = members.pop() as Member;
      if (last === member) return;
      put(last, member.place);
      rise(last);
      sink(last);
    },
  };
}
