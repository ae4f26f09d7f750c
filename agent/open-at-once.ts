/**
 * Part of the composition root: what a start waits for longest, at the same time: the passphrase's derivation of keys, and each
 * meter's first answer. Nothing is signed here. A site's folder is held before any of its lines is opened, for two agents on one
 * line would talk into each other's answers.
 */
import type { Disk, Meter } from '../drivers/ports.ts'
import { holdJournal } from '../drivers/store/journal.ts'
import type { Fault } from '../protocol/result.ts'
import { ok, type Result } from '../protocol/result.ts'
import type { SiteConfig } from './config/site-config.ts'
import { type Devices, openDevices } from './devices.ts'
import type { SiteKeys } from './keys.ts'
import { createFrameCounters } from './metering/frame-counters.ts'
import type { BegunReading } from './metering/meter-run.ts'
import type { World } from './world.ts'

export interface OpenedAtOnce {
  readonly keys: SiteKeys
  readonly state: Disk
  readonly journalDisk: Disk
  /** Lets go of the journal's folder; for the journal to take over. */
  readonly held: () => Promise<void>
  readonly devices: Devices
  /** By the meter's name. */
  readonly begun: ReadonlyMap<string, BegunReading>
}

export interface OpeningAtOnce {
  readonly lateAnswerDefence?: boolean
  readonly health: (name: string, fault: Fault | undefined) => void
  /** What was opened, to be closed in reverse order; also where this answers a fault. */
  readonly closing: (close: () => Promise<unknown> | unknown) => void
}

export async function openAtOnce(
  config: SiteConfig,
  world: World,
  { closing, ...surroundings }: OpeningAtOnce,
): Promise<Result<OpenedAtOnce>> {
  const { clock, timers, log } = world
  const keysOpening = world.openKeys(config.keys)
  closing(async () => {
    const keys = await keysOpening
    if (keys.ok) await keys.value.close?.()
  })
  const state = await world.openDisk(`${config.data}/state`)
  if (!state.ok) return state
  closing(() => state.value.close?.())
  const journalDisk = await world.openDisk(`${config.data}/journal`)
  if (!journalDisk.ok) return journalDisk
  closing(() => journalDisk.value.close?.())
  const held = await holdJournal(journalDisk.value)
  if (!held.ok) return held
  closing(held.value)
  const frameCounters = createFrameCounters(state.value, timers, log)
  closing(frameCounters.close)
  const begin = (meter: Meter): BegunReading => ({ at: clock.mono(), reading: meter.read() })
  const devicesOpening = openDevices(config, world, { ...surroundings, frameCounters }).then(devices => {
    if (!devices.ok) return devices
    closing(() => devices.value.close())
    const begun = [...devices.value.meters].map(([name, meter]) => [name, begin(meter)] as const)
    return ok({ devices: devices.value, begun: new Map(begun) })
  })
  const [keys, opened] = await Promise.all([keysOpening, devicesOpening])
  if (!keys.ok) return keys
  if (!opened.ok) return opened
  return ok({
    ...{ keys: keys.value, state: state.value, journalDisk: journalDisk.value, held: held.value },
    ...opened.value,
  })
}
