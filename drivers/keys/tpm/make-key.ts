/** A key made inside a TPM: once, and never in place of what stands there. */
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { create, flushContext, HIERARCHY, load, makePersistent } from '../../../protocol/tpm/commands.ts'
import { NO_BYTES } from '../../../protocol/tpm/marshal.ts'
import { attributeFault, nameOf, TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { identifyTpm } from './identify.ts'
import { withPrimary } from './primary.ts'
import { keepSession } from './session.ts'
import { findKey, hexHandle, type TpmKeyPlace } from './signer.ts'
import type { Tpm } from './tpm.ts'

/** A new key of the TPM's own random numbers at a free handle; its raw public key. */
export async function makeTpmKey(tpm: Tpm, { handle, auth }: TpmKeyPlace): Promise<Result<Uint8Array>> {
  const there = await findKey(tpm, handle)
  if (there.ok || there.fault.code === 'tpm.other-kind') {
    const hint = 'something stands at this handle, and nothing is overwritten: name another handle'
    return fail({ code: 'tpm.handle-taken', handle: hexHandle(handle), hint })
  }
  if (there.fault.code !== 'tpm.no-handle') return there
  const able = await identifyTpm(tpm)
  if (!able.ok) return able
  const session = keepSession(tpm)
  const made = await withPrimary(tpm, HIERARCHY.owner, TEMPLATE.storage, async (parent, area) => {
    const key = await session.run(({ opens }) =>
      // The parent has no password of its own; the new key's goes there encrypted.
      create({ handle: parent, name: nameOf(area), auth: opens(NO_BYTES, 'hide') }, TEMPLATE.metering, auth),
    )
    await session.end()
    if (!key.ok) return key
    const loaded = await tpm.run(load(parent, key.value))
    if (!loaded.ok) return loaded
    // Had somebody else taken the handle meanwhile, the TPM itself would refuse.
    const kept = await tpm.run(makePersistent(loaded.value, handle))
    await tpm.run(flushContext(loaded.value))
    return kept
  })
  if (!made.ok) return made
  const found = await findKey(tpm, handle)
  if (!found.ok) return found
  const attributes = attributeFault(found.value.area, 'metering')
  return attributes === undefined ? ok(found.value.area.publicKey) : fail(attributes)
}
