/** The meters that `tieline-bench meter --telegram` can be: what each is called, how it speaks, and how it is read. */
import { usualSpeed } from '../../agent/config/line-settings.ts'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { hex, toHex } from '../../protocol/bytes.ts'
import type { Parity } from '../../protocol/telegram/iec62056.ts'
import { startDlmsMeter } from '../sim/dlms-meter.ts'
import { iecLines, mbusIdentity, mbusRecords, startIecPusher } from '../sim/home-readout.ts'
import { startIecMeter } from '../sim/iec-meter-sim.ts'
import { startMbusSlaves } from '../sim/mbus-slave.ts'
import type { Noise, Random } from '../sim/noise.ts'
import type { Measured } from '../sim/register-image.ts'
import { startP1Meter, startSmlMeter } from '../sim/telegram-meters.ts'
import type { SerialFormat } from './serial-format.ts'

export interface Seal {
  readonly key: Uint8Array
  readonly authKey: Uint8Array
}

export interface TelegramParts {
  readonly end: DeviceEnd
  readonly serial: string
  readonly measure: () => Measured
  readonly baud: number
  /** 0 where the end keeps its own pace. */
  readonly characterMs: number
  readonly parity: Parity
  readonly seal: Seal | undefined
  /** Set before the first byte. */
  readonly noise: Noise
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

interface TelegramKind {
  readonly invented: string
  readonly form: RegExp
  /** What a serial number is, where one does not fit. */
  readonly hint: string
  readonly speed: { readonly baud: number; readonly format: SerialFormat }
  /** Whether it can be encrypted. */
  readonly sealed: boolean
  /** Whether the wire's pace is the protocol's own choice. */
  readonly fixedBaud?: true
  readonly start: (parts: TelegramParts) => Cancel
  /** The flags of `tieline read`. */
  readonly read: (serial: string) => string
}

const IDENTIFICATION = 'TLN5TIELINE'
const MBUS_ADDRESS = 1
/** Maker TLN, number 1: eight bytes. */
const SYSTEM_TITLE = hex('54 4c 4e 00 00 00 00 01')
/** The authentication key that Luxembourg publishes for all its meters. */
export const PUBLIC_AUTH_KEY = '00112233445566778899aabbccddeeff'

const speaking = (
  { noise, ...parts }: TelegramParts,
  start: (parts: Omit<TelegramParts, 'noise'>) => Noisy,
): Cancel => {
  const meter = start(parts)
  Object.assign(meter.faults, noise)
  return () => meter.stop()
}

const titled = (seal: Seal | undefined) => (seal === undefined ? {} : { seal: { ...seal, systemTitle: SYSTEM_TITLE } })

interface Noisy {
  readonly faults: object
  stop(): void
}

const KINDS = {
  sml: {
    invented: '0a01544c4e0000000101',
    form: /^([0-9a-f]{2}){4,10}$/i,
    hint: 'a server id of SML is 8 to 20 hexadecimal digits, two a byte',
    speed: usualSpeed({ protocol: 'sml' }),
    sealed: false,
    start: parts => speaking(parts, rest => startSmlMeter({ ...rest, serverId: hex(parts.serial), maker: 'TLN' })),
    read: () => '--telegram sml',
  },
  dsmr: {
    invented: 'E0101000000000101',
    form: /^[A-Za-z0-9]{1,48}$/,
    hint: 'an equipment identifier of P1 is up to 48 letters and digits',
    speed: usualSpeed({ protocol: 'dsmr' }),
    sealed: true,
    start: parts =>
      speaking(parts, ({ seal, ...rest }) =>
        startP1Meter({ ...rest, ...titled(seal), equipmentId: parts.serial, model: 'TLN5' }),
      ),
    read: () => '--telegram dsmr',
  },
  dlms: {
    invented: 'TLN0000000000101',
    form: /^[A-Za-z0-9]{1,48}$/,
    hint: 'a meter number of DLMS is up to 48 letters and digits',
    speed: usualSpeed({ protocol: 'dlms' }),
    sealed: true,
    start: parts =>
      speaking(parts, ({ seal, ...rest }) => startDlmsMeter({ ...rest, ...titled(seal), meterId: parts.serial })),
    read: () => '--telegram dlms',
  },
  iec62056: {
    invented: '10100101',
    form: /^[A-Za-z0-9]{1,32}$/,
    hint: 'a serial number of IEC 62056-21 is up to 32 letters and digits',
    speed: usualSpeed({ protocol: 'iec62056' }),
    sealed: false,
    fixedBaud: true,
    start: parts => {
      const lines = () => iecLines(parts.serial, parts.measure())
      const paced = parts.characterMs > 0
      return speaking(parts, rest => startIecMeter({ ...rest, identification: IDENTIFICATION, lines, paced }))
    },
    read: () => '--page iec62056',
  },
  'iec62056-pushed': {
    invented: '10100101',
    form: /^[A-Za-z0-9]{1,32}$/,
    hint: 'a serial number of IEC 62056-21 is up to 32 letters and digits',
    speed: usualSpeed({ protocol: 'iec62056', mode: 'pushed' }),
    sealed: false,
    start: parts =>
      speaking(parts, rest => startIecPusher({ ...rest, identification: IDENTIFICATION, everyMs: 2_000 })),
    read: () => '--telegram iec62056',
  },
  mbus: {
    invented: '10100101',
    form: /^\d{8}$/,
    hint: 'a number on an M-Bus is 8 digits',
    speed: usualSpeed({ protocol: 'mbus' }),
    sealed: false,
    start: parts => {
      const { serial, measure, characterMs, noise, ...rest } = parts
      const identity = mbusIdentity(serial)
      const slave = { address: MBUS_ADDRESS, identity, telegrams: () => [mbusRecords(measure())] }
      const bus = startMbusSlaves({ ...rest, slaves: [slave], paced: characterMs > 0 })
      for (const { faults } of bus.slaves) Object.assign(faults, noise)
      return () => bus.stop()
    },
    read: serial => `--page mbus --address ${serial}`,
  },
} as const satisfies Record<string, TelegramKind>

export type TelegramName = keyof typeof KINDS

export const TELEGRAM_KINDS: Readonly<Record<TelegramName, TelegramKind>> = KINDS
export const TELEGRAM_NAMES = Object.keys(KINDS) as readonly TelegramName[]

/** The rest of a `tieline read` line. */
export const readFlags = (kind: TelegramName, serial: string, seal: Seal | undefined): string =>
  `${TELEGRAM_KINDS[kind].read(serial)}${seal === undefined ? '' : ` --key ${toHex(seal.key)} --auth-key ${toHex(seal.authKey)}`}`
