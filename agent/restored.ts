/**
 * Kind of a journal's record that it goes on from a backup, and the boot that it counts from, as decimal text: whatever counts
 * anything else that must not come twice counts from there too.
 */
export const RESTORED = 'restored'
