/** One site's metering on a simulated clock and disk, with a meter that says what the test wants. */
import { keepForRestart } from '../../../agent/keeping.ts'
import { readMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { createMetering, type Metering, type MeteringOptions } from '../../../agent/metering/run.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Meter, MeterReading } from '../../../drivers/ports.ts'
import type { Journal } from '../../../drivers/store/journal.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import {
  type VerifiedContext,
  type VerifiedReading,
  verifyContext,
  verifyReadingIn,
} from '../../../protocol/reading/verify.ts'
import { type Fault, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'

export const signer = createSigner(new Uint8Array(32).fill(3))
export const verifier = createVerifier()

/** A meter on a bench: its register is what the test says, it answers after `delayMs`, and it counts who asks. */
export interface FakeMeter extends Meter {
  id: string
  energyWh: bigint
  delayMs: number
  failing: Fault | undefined
  values: ((energy: MeterValue[]) => MeterValue[]) | undefined
  asked: number
  atOnce: number
  mostAtOnce: number
}

export interface Site {
  readonly time: ReturnType<typeof createSimTime>
  readonly sim: SimDisk
  readonly meter: FakeMeter
  readonly health: Map<string, Fault>
  journal: Journal
  metering: Metering
}

export function fakeMeter(time: Site['time'], id = '4711'): FakeMeter {
  const meter: FakeMeter = {
    page: 'fake-meter',
    id,
    energyWh: 1000n,
    delayMs: 50,
    failing: undefined,
    values: undefined,
    asked: 0,
    atOnce: 0,
    mostAtOnce: 0,
    read: async () => {
      meter.asked++
      meter.mostAtOnce = Math.max(meter.mostAtOnce, ++meter.atOnce)
      await time.timers.sleep(meter.delayMs)
      meter.atOnce--
      if (meter.failing !== undefined) return fail(meter.failing)
      const energy: MeterValue[] = [
        { obis: OBIS.energyImport, value: meter.energyWh, scaler: 0, unit: 'Wh' },
        { obis: OBIS.energyExport, value: 5n, scaler: 3, unit: 'Wh' },
      ]
      const values = meter.values === undefined ? energy : meter.values(energy)
      const reading: MeterReading = {
        meterId: meter.id,
        taken: time.clock.now(),
        takenMono: time.clock.mono(),
        values,
        rawHash: new Uint8Array(32),
      }
      return ok(reading)
    },
    close: async () => {},
  }
  return meter
}

/** Opens the journal as it is and starts metering on it, as a boot does. */
export async function boot(site: Omit<Site, 'journal' | 'metering'>, options: Partial<MeteringOptions>): Promise<Site> {
  const { clock, timers } = site.time
  const journal = must(
    await openJournal({
      disk: site.sim.mount(),
      clock,
      timers,
      owner: ueidOf(signer.publicKey),
      entropy: { bytes: count => new Uint8Array(count) },
      keeping: keepForRestart,
      segmentBytes: 64 * 4096,
    }),
  )
  const metering = createMetering({
    meters: [{ name: 'L1', meter: site.meter, periodMs: 1000, staleMs: 3000 }],
    signer,
    identity: {
      device: ueidOf(signer.publicKey),
      software: new Uint8Array(32).fill(1),
      trust: 'software',
      timeSource: () => 'simulated',
    },
    journal,
    clock,
    timers,
    log: () => {},
    health: (what, fault) => void (fault === undefined ? site.health.delete(what) : site.health.set(what, fault)),
    ...options,
  })
  for (const record of journal.kept()) metering.restore(record)
  must(metering.start())
  return { ...site, journal, metering }
}

export async function newSite(
  options: Partial<MeteringOptions> = {},
  strike?: (operation: string) => Strike | undefined,
): Promise<Site> {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const sim = createSimDisk({ random: seededRandom(5), ...(strike === undefined ? {} : { strike }) })
  return boot({ time, sim, meter: fakeMeter(time), health: new Map() }, options)
}

/** Runs virtual time until a promise settles. */
export async function settle<T>(site: Site, promise: Promise<T>, ms = 5000): Promise<T> {
  let found: { value: T } | undefined
  void promise.then(value => {
    found = { value }
  })
  for (let t = 0; t < ms && found === undefined; t += 10) await site.time.advance(10)
  if (found === undefined) throw new Error(`not settled after ${ms} ms`)
  return found.value
}

/** Every reading in the journal, verified as a stranger would. */
export async function chainIn(journal: Journal): Promise<VerifiedReading[]> {
  const contexts: VerifiedContext[] = []
  const readings: VerifiedReading[] = []
  must(
    await journal.visit(({ kind, bytes }, { carried }) => {
      if (carried || (kind !== 'context' && kind !== 'reading' && kind !== 'gap')) return
      const { envelope } = readMeteringRecord(bytes)!
      if (kind === 'context') contexts.push(must(verifyContext(envelope, signer.publicKey, verifier)))
      else readings.push(must(verifyReadingIn(contexts.at(-1)!, envelope, verifier)))
    }),
  )
  return readings
}

export const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
export const watt = (obis: string, value: bigint): MeterValue => ({ obis, value, scaler: 0, unit: 'W' })
