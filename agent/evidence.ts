/** Keeps what was refused by name, with its bytes, for a person or a judge. */
import type { Disk } from '../drivers/ports.ts'
import { toHex, utf8 } from '../protocol/bytes.ts'
import type { Fault } from '../protocol/result.ts'
import { type Instant, isoTime } from '../protocol/time.ts'

/** A peer that sends forgeries without end fills no disk: the first ones are the evidence. */
const MAX_FILES = 200

export type Evidence = (fault: Fault, bytes: readonly Uint8Array[]) => void

/** Writes one file `evidence-<n>.json` each; the same fault code from the same source twice in a row is kept once. */
export function createEvidence(disk: Disk, now: () => Instant): Evidence {
  let count = 0
  let last = ''
  return (fault, bytes) => {
    const text = JSON.stringify(
      { at: isoTime(now()), fault, bytes: bytes.map(toHex) },
      (_, value) => (typeof value === 'bigint' ? String(value) : value),
      2,
    )
    const key = `${fault.code} ${String(fault['peer'])}`
    if (key === last && bytes.length === 0) return
    last = key
    if (count >= MAX_FILES) return
    // Not awaited: an opening that is under way must not wait for a disk, and the fault is in the log as well.
    void disk.replace(`evidence-${String(count++).padStart(3, '0')}.json`, utf8(`${text}\n`))
  }
}
