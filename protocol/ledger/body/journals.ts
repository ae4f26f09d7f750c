/** What transactions about journals carry. */
import { JOURNAL_ID_BYTES } from '../../reading/head.ts'
import { big, bytes, record } from '../../record.ts'
import { hash32 } from '../fields.ts'

/** What tells one journal of a gateway from another (reading/head.ts). */
const journal = bytes(JOURNAL_ID_BYTES)
/** Frames of a journal are numbered from 1. */
export const frameNumber = big(1n, 2n ** 53n)

export const journalBodies = {
  /** How far the sender's journal has come, and the hash of its last frame: further than what stands here of that journal. */
  head: record({ journal: [1, journal], frame: [2, frameNumber], hash: [3, hash32] }),
} as const
