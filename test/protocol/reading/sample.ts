/** Readings as a gateway would sign them, made by the product's own writers and a real key. */

import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { CONTEXT_PURPOSE, type Context, encodeContext } from '../../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import {
  type VerifiedContext,
  type VerifiedReading,
  verifyContext,
  verifyReadingIn,
} from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'

export const verifier = createVerifier()
export const signer = createSigner(new Uint8Array(32).fill(7))

export const sampleContext: Context = {
  device: ueidOf(signer.publicKey),
  meterId: '19041234',
  page: 'eastron-sdm630',
  software: new Uint8Array(32).fill(0x5f),
  key: signer.publicKey,
  trust: 'sealed-file',
  timeSource: 'ntp',
  clockSets: 0,
  boot: 1,
}

/** 123,456.789 kWh in and 98,765.432 kWh out, to the milliwatt-hour that no meter of a house exceeds in 32 bits. */
export const energies = (importWh: bigint, exportWh: bigint): MeterValue[] => [
  { obis: OBIS.energyImport, value: importWh, scaler: 0, unit: 'Wh' },
  { obis: OBIS.energyExport, value: exportWh, scaler: 0, unit: 'Wh' },
]

export const firstReading = (context: Uint8Array): Reading => ({
  context: context.subarray(0, 8),
  sequence: 1,
  operatingSeconds: 12,
  time: instant(1_795_000_000_000),
  quality: 'synchronised',
  registers: energies(123_456_789n, 98_765_432n),
  status: [],
  errors: [],
  reason: 'periodic',
})

export const sealContext = async (context: Context, by: Signer = signer): Promise<Uint8Array> =>
  must(await signEnvelope(by, encodeContext(context), CONTEXT_PURPOSE)).envelope

export const sealReading = async (reading: Reading): Promise<Uint8Array> =>
  must(await signEnvelope(signer, encodeReading(reading), READING_PURPOSE)).envelope

export const contextOf = async (context: Context = sampleContext): Promise<VerifiedContext> =>
  must(verifyContext(await sealContext(context), context.key, verifier))

/** Readings sealed and verified one after the other, each linked to the one before unless its change says otherwise. */
export async function chainOf(
  changes: readonly (Partial<Reading> & { readonly in?: VerifiedContext })[],
): Promise<VerifiedReading[]> {
  const home = await contextOf()
  const chain: VerifiedReading[] = []
  for (const { in: context = home, ...change } of changes) {
    const last = chain.at(-1)
    const linked: Reading =
      last === undefined
        ? firstReading(context.hash)
        : {
            ...last.reading,
            sequence: last.reading.sequence + 1,
            context: context.hash.subarray(0, 8),
            operatingSeconds: last.reading.operatingSeconds + 15,
            time: instant(last.reading.time + 15_000),
            registers: chain.findLast(one => one.reading.registers.length > 0)!.reading.registers,
            reason: 'periodic',
            status: [],
            previous: last.hash,
          }
    chain.push(must(verifyReadingIn(context, await sealReading({ ...linked, ...change }), verifier)))
  }
  return chain
}
