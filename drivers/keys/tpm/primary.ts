/** Keys that a TPM derives from a hierarchy's seed and its template: the same whenever it is asked, kept nowhere. */
import type { Result } from '../../../protocol/result.ts'
import { createPrimary, flushContext } from '../../../protocol/tpm/commands.ts'
import type { Tpm } from './tpm.ts'

/** The TPM has room for three objects or so: the key is removed whatever came of its use. */
export async function withPrimary<T>(
  tpm: Tpm,
  hierarchy: number,
  template: Uint8Array,
  use: (handle: number, area: Uint8Array) => Promise<Result<T>>,
): Promise<Result<T>> {
  const primary = await tpm.run(createPrimary(hierarchy, template))
  if (!primary.ok) return primary
  const used = await use(primary.value.handle, primary.value.area)
  await tpm.run(flushContext(primary.value.handle))
  return used
}
