/** A fault as the API says it: its code, the values compared, and a sentence. */
import type { Fault } from '../../protocol/result.ts'
import { sentenceOf } from '../relays/sentences.ts'
import type { SaidReason } from './answers.ts'

/** JSON has no whole numbers of any size. */
export const said = (fault: Fault): SaidReason => ({
  ...Object.fromEntries(
    Object.entries(fault).map(([key, value]) => [key, typeof value === 'bigint' ? String(value) : value]),
  ),
  code: fault.code,
  text: sentenceOf(fault),
})
