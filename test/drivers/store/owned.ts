/** Whose a test's journals are, and the id that they draw: always the same, so that equal journals have equal heads. */
import { ueidOf } from '../../../protocol/identity/key.ts'

export const OWNED = {
  owner: ueidOf(new Uint8Array(32).fill(3)),
  entropy: { bytes: (count: number) => new Uint8Array(count).fill(7) },
}
