/**
 * The world as one agent sees it: every port, opened on request. This file names the real drivers; the simulator brings a
 * world of its own, and the bench changes single parts of this one.
 */

import { connectBus, type MqttOptions } from '../drivers/bus/mqtt.ts'
import { createSystemTime } from '../drivers/clock.ts'
import { systemEntropy } from '../drivers/crypto/entropy.ts'
import { createSigner } from '../drivers/crypto/signer.ts'
import { createVerifier } from '../drivers/crypto/verifier.ts'
import { createRpcClient } from '../drivers/headers/rpc-client.ts'
import type { Bus, Clock, Disk, Entropy, Index, LedgerRpc, Line, Log, Signer, Timers } from '../drivers/ports.ts'
import type { GpioBank } from '../drivers/relays/gpio-bank.ts'
import type { GpioContact } from '../drivers/relays/johnny-five.ts'
import { openDisk } from '../drivers/store/disk.ts'
import { makeFolder } from '../drivers/store/folder.ts'
import { openLevelIndex } from '../drivers/store/level-index.ts'
import { hashSoftware } from '../drivers/store/software-hash.ts'
import { zoneOffset } from '../drivers/time-zone.ts'
import { sealingKey } from '../protocol/crypto/seal.ts'
import type { Verifier } from '../protocol/crypto/verify.ts'
import type { OffsetAt } from '../protocol/reading/calendar.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import type { TimeQuality } from '../protocol/time.ts'
import type { KeySource, LineConfig, SiteConfig } from './config/site-config.ts'
import { openGpioLines } from './gpio-lines.ts'
import type { GpioLinePlace } from './gpio-wiring.ts'
import { type SiteKeys, secretFromSeed } from './keys.ts'
import { openSystemLine } from './lines.ts'
import { openSiteKeys } from './open-keys.ts'
import type { Dispatch } from './roles/part.ts'
import { fetchState } from './validator/fetch-audit.ts'

type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** A GPIO bank, and how its relay channels are wired to its lines. */
export interface WiredBank {
  readonly bank: GpioBank
  contact(channel: number): GpioContact
}

/** What a connection to brokers may do beyond the plain one. */
export type BusHow = Pick<MqttOptions, 'patient' | 'will' | 'onUp' | 'tls' | 'renewTls' | 'onTls'>

export interface World {
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  readonly verifier: Verifier
  /** The site's time zone. */
  readonly offsetAt: OffsetAt
  readonly log: Log
  /** SHA-256 of the software that measures. */
  readonly software: Uint8Array
  /** The least that an answer on a serial line is waited for, in milliseconds of `clock`; undefined leaves it to the driver. */
  readonly answerFloorMs: number | undefined
  openLine(line: LineConfig): Line
  openBus(urls: readonly string[], how?: BusHow): Promise<Result<Bus>>
  openLedger(url: string): LedgerRpc
  /** An index in a folder of its own; what it holds may be lost. */
  openIndex(folder: string): Promise<Result<Index>>
  openDisk(folder: string): Promise<Result<Disk & { close?(): Promise<void> }>>
  openKeys(source: KeySource): Promise<Result<SiteKeys>>
  openGpioBank(name: string): Result<WiredBank>
  /** These lines of one of the machine's GPIO chips; left out, of the one that has them. */
  openGpioChip(chip: string | undefined, lines: readonly GpioLinePlace[]): Promise<Result<GpioBank>>
  /** The newest whole state of the ledger that a node serves, as it says. */
  readState(url: string): Promise<Result<{ readonly height: bigint; readonly entries: Iterable<Entry> }>>
  /** What follows the deals and calls of this site; absent where nothing does but what people switch. */
  readonly dispatch?: Dispatch
}

/**
 * What a busy machine may add to an answer, in real milliseconds. On a scaled clock it counts `speed` times, and a
 * time-out that is right in real time would be a fault every second.
 */
const HICCUP_MS = 40

const noPassphrase = async () =>
  fail({ code: 'keys.no-passphrase', hint: 'name a passphrase_file under keys, or run it in a terminal' })

/**
 * The machine that this process runs on. Without `quality` its wall time is informative; a bench's clock is always right.
 * `passphrase` opens sealed key files where the configuration names no file for it.
 */
export function systemWorld(
  config: Pick<SiteConfig, 'clock'>,
  log: Log,
  quality?: () => TimeQuality,
  passphrase: () => Promise<Result<string>> = noPassphrase,
): World {
  const { clock, timers } =
    config.clock === undefined
      ? createSystemTime(undefined, quality)
      : createSystemTime(config.clock, () => 'synchronised')
  // Deadlines on a device of this machine are real time, whatever the virtual clock does.
  const real = createSystemTime()
  const verifier = createVerifier()
  return {
    clock,
    timers,
    entropy: systemEntropy,
    verifier,
    offsetAt: zoneOffset(),
    log,
    software: hashSoftware(),
    answerFloorMs: config.clock === undefined ? undefined : HICCUP_MS * config.clock.speed,
    openLine: line => openSystemLine(line, clock, real.timers, log),
    openBus: (urls, how) => connectBus({ urls, timers, log, ...how }),
    openLedger: url => createRpcClient({ url }),
    openIndex: openLevelIndex,
    openDisk: async folder => {
      const made = await makeFolder(folder)
      return made.ok ? openDisk(folder) : made
    },
    openKeys: async source =>
      source.kind === 'seed'
        ? ok(keysFromSeed(source.seed))
        : openSiteKeys(source, { ...real, entropy: systemEntropy, verifier, passphrase }),
    readState: fetchState,
    openGpioChip: openGpioLines,
    openGpioBank: bank =>
      fail({
        code: 'gpio.no-bank',
        bank,
        hint: 'this machine offers no GPIO bank of that name; use a Modbus coil board',
      }),
  }
}

/** Bench keys; loadConfig refuses a seed outside a bench configuration. */
export function keysFromSeed(
  seed: Uint8Array,
  signer: (seed: Uint8Array) => Signer = createSigner,
): SiteKeys & { readonly sealingPublic: Uint8Array } {
  const sealing = secretFromSeed(seed, 'sealing')
  return {
    account: signer(secretFromSeed(seed, 'account')),
    metering: signer(secretFromSeed(seed, 'metering')),
    sealing,
    sealingPublic: sealingKey(sealing).publicKey,
  }
}
