/** Who made a TPM, and whether it can do what is asked of it: asked before a key is made in it. */
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { getAlgorithms, getCurves, getProperties } from '../../../protocol/tpm/commands.ts'
import { ALG, CURVE_P256 } from '../../../protocol/tpm/public-area.ts'
import type { Tpm } from './tpm.ts'

/** TPM_PT_FAMILY_INDICATOR and TPM_PT_MANUFACTURER (Part 2, 6.13), each four characters. */
const FAMILY = 0x100
const MANUFACTURER = 0x105
const NEEDED = { ECC: ALG.ecc, ECDSA: ALG.ecdsa, 'SHA-256': ALG.sha256, AES: ALG.aes, CFB: ALG.cfb } as const

export interface TpmIdentity {
  /** `2.0`. */
  readonly family: string
  /** As in TCG's vendor registry: `IFX`, `STM`, `NTC`, `IBM`. */
  readonly maker: string
}

/** Its word, signed by nobody; `tpm.unsupported` with what is missing. */
export async function identifyTpm(tpm: Tpm): Promise<Result<TpmIdentity>> {
  const properties = await tpm.run(getProperties(FAMILY, MANUFACTURER - FAMILY + 1))
  if (!properties.ok) return properties
  const algorithms = await tpm.run(getAlgorithms())
  if (!algorithms.ok) return algorithms
  const curves = await tpm.run(getCurves())
  if (!curves.ok) return curves
  const said = new Map(properties.value)
  const identity = { family: characters(said.get(FAMILY)), maker: characters(said.get(MANUFACTURER)) }
  const missing = Object.entries(NEEDED).flatMap(([name, id]) => (algorithms.value.includes(id) ? [] : [name]))
  if (!curves.value.includes(CURVE_P256)) missing.push('P-256')
  return missing.length === 0 ? ok(identity) : fail({ code: 'tpm.unsupported', ...identity, missing })
}

/** Printable ones only: what a chip says must not move a cursor. */
const characters = (word = 0): string =>
  [24, 16, 8, 0]
    .map(shift => (word >>> shift) & 0xff)
    .filter(byte => byte > 0x20 && byte < 0x7f)
    .map(byte => String.fromCharCode(byte))
    .join('')
