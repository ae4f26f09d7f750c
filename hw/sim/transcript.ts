/** What happened in a run, in order, folded into one hash: two runs with the same hash were the same run. */
import type { Clock } from '../../drivers/ports.ts'
import { concat, toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'

export interface Transcript {
  /** One event, as text, with the virtual time at which it happened. */
  note(event: string): void
  /** The hash over all events so far, hexadecimal. */
  hash(): string
  events(): number
}

/** Events are hashed this many at a time: one by one would be a tenth of a long run's time. */
const BATCH = 256

export function createTranscript(clock: Pick<Clock, 'mono'>, listen: (line: string) => void = () => {}): Transcript {
  let state: Uint8Array = sha256(utf8('tieline transcript'))
  let batch: string[] = []
  let events = 0

  function fold(): void {
    if (batch.length > 0) state = sha256(concat(state, utf8(batch.join('\n'))))
    batch = []
  }

  return {
    note(event) {
      const line = `${clock.mono()} ${event}`
      listen(line)
      events++
      if (batch.push(line) === BATCH) fold()
    },
    hash() {
      // What is not yet folded is folded on a copy: asking changes nothing.
      return toHex(batch.length === 0 ? state : sha256(concat(state, utf8(batch.join('\n')))))
    },
    events: () => events,
  }
}
