/** What both agents of bench:control stand on: clock, journal on the disk, metering into it, a serial line's master, and what keeps a board busy. */
import { openSystemLine } from '../../agent/lines.ts'
import { createMetering, type Metering, type MeteringOptions } from '../../agent/metering/run.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createModbusMaster, type ModbusMaster } from '../../drivers/modbus/master.ts'
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { makeFolder } from '../../drivers/store/folder.ts'
import { type Journal, openJournal } from '../../drivers/store/journal.ts'
import { ueidOf } from '../../protocol/identity/key.ts'
import { must } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import { BAUD } from './control-line.ts'
import { type Load, startLoad } from './control-load.ts'
import { signerOf } from './grid-ledgers.ts'

const WATCHDOG_MS = 250

export interface Board {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly journal: Journal
  masterOn(path: string): Promise<{ readonly master: ModbusMaster; readonly characterMs: number }>
  metering(meters: MeteringOptions['meters']): Metering
  watchdogFed(): Mono
  load(): Promise<Load>
  close(): Promise<void>
}

export async function openBoard(data: string): Promise<Board> {
  const { clock, timers } = createSystemTime(undefined, () => 'synchronised')
  const log: Log = (level, room, text, fault) => {
    if (level === 'error') process.stderr.write(`${room}: ${text} ${JSON.stringify(fault ?? {})}\n`)
  }
  must(await makeFolder(data))
  const disk = must(await openDisk(data))
  const journal = must(
    await openJournal({
      ...{ disk, clock, timers, entropy: systemEntropy, owner: new Uint8Array(33).fill(1) },
      ...{ keeping: () => undefined, onHealth: () => {}, segmentBytes: 1024 * 1024 },
    }),
  )
  const signer = signerOf('control metering')
  let fed = clock.mono()
  timers.every(WATCHDOG_MS, () => {
    fed = clock.mono()
  })
  return {
    ...{ clock, timers, log, journal, watchdogFed: () => fed },
    async masterOn(path) {
      const line = openSystemLine({ kind: 'serial', path, baud: BAUD, format: '8N1' }, clock, timers, log)
      const master = createModbusMaster({ line, clock, timers, framing: 'rtu', log })
      must(await master.open())
      return { master, characterMs: line.characterMs }
    },
    metering: meters =>
      createMetering({
        ...{ meters, signer, journal, clock, timers, log, health: () => {} },
        identity: {
          ...{ device: ueidOf(signer.publicKey), software: new Uint8Array(32) },
          ...{ trust: 'software', timeSource: () => 'ntp' },
        },
      }),
    load: () => startLoad(journal, clock, timers),
    close: () => journal.close(),
  }
}
