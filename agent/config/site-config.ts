/**
 * One site's configuration as the agent uses it: quantities in their base units, names resolved, durations in
 * milliseconds. The form on disk is agent/config/schema.ts; what a setting leaves out is absent here too, unless its
 * default is written beside it there.
 */
import type { MbusAddress } from '../../drivers/meters/mbus-meter.ts'
import type { Current, Power, Price, WattHours } from '../../protocol/quantity.ts'

export type Role = 'household' | 'charger' | 'storage'

export interface SiteConfig {
  readonly site: string
  readonly role: Role
  /** Folder of this site's journal and state, as written; a relative one is relative to the configuration file. */
  readonly data: string
  /** A bench site may hold keys made from a seed and run on a scaled clock; a real one may not. */
  readonly bench: boolean
  readonly keys: KeySource
  /** How long the journal is kept, and how large it may become: what is older or more is dropped, whole segments at a time. */
  readonly journal: { readonly keepMs: number; readonly bytes: number }
  readonly ledger: LedgerConfig
  /** MQTT brokers, at least one: published to all, duplicates dropped. */
  readonly brokers: readonly string[]
  readonly lines: Readonly<Record<string, LineConfig>>
  readonly meters: Readonly<Record<string, MeterConfig>>
  readonly relays: Readonly<Record<string, RelayBankConfig>>
  readonly directLines: readonly DirectLineConfig[]
  readonly peers: Readonly<Record<string, PeerConfig>>
  readonly trade: TradeConfig
  readonly safety: SafetyConfig
  /** Absent: at rest everything goes on as during a deal. */
  readonly rest?: RestConfig
  readonly page: { readonly host: string; readonly port: number; readonly off: boolean }
  /** Only on the bench: virtual time runs `speed` times faster than the wall clock from the given origins. */
  readonly clock?: { readonly originWallMs: number; readonly originVirtualMs: number; readonly speed: number }
}

export type KeySource =
  | {
      readonly kind: 'kept'
      /** Sealed files. */
      readonly account: string
      readonly sealing: string
      readonly metering: KeyPlace
      /** A second key for OCMF records, which are signed with P-256. */
      readonly ocmf?: KeyPlace
      /** Of all sealed files; without it a credential of systemd's or a person is asked. */
      readonly passphraseFile?: string
    }
  | { readonly kind: 'seed'; readonly seed: Uint8Array }

/** Where one private key is kept. */
export type KeyPlace =
  | { readonly kind: 'file'; readonly file: string }
  | {
      readonly kind: 'pkcs11'
      /** The shared library of the token's maker. */
      readonly module: string
      readonly token: string
      readonly key: string
      readonly pinFile: string
    }
  | {
      readonly kind: 'tpm'
      /** /dev/tpmrm0, or an emulator's socket: unix:/path or tcp:host:port. */
      readonly device: string
      /** Persistent, of the owner's: 0x81000000 to 0x817fffff. */
      readonly handle: number
      /** Holds the key's authorization value; made with the key. */
      readonly authFile: string
    }

export interface LedgerConfig {
  readonly chain: string
  /** The light client's first trusted header, agreed out of band: height and 32-byte header hash. */
  readonly trust: { readonly height: bigint; readonly hash: Uint8Array }
  readonly trustingPeriodMs: number
  readonly maxClockDriftMs: number
  /** Between two looks at the head; a proof fetches the headers that it needs by itself. */
  readonly followMs: number
  /** A head that has not risen for this long is no ground for a payment; absent leaves it to the light client. */
  readonly staleAfterMs?: number
  /** `http://host:port`, or `mqtt:NAME` for a node that the relay of that name serves over the site's brokers. */
  readonly primary: string
  readonly witnesses: readonly string[]
  /** Serves the primary to others over the brokers, under this name. */
  readonly relayAs?: string
}

export type LineConfig =
  | {
      readonly kind: 'serial'
      /** A device; /dev/serial/by-id/... names the same adapter wherever it is plugged in. */
      readonly path: string
      readonly baud: number
      readonly format: SerialFormat
      /** Of a UART whose RTS output switches an RS-485 transceiver: what RTS is while sending. */
      readonly rs485?: 'rts-high' | 'rts-low'
    }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** Data bits, parity, stop bits. */
export type SerialFormat = '8N1' | '8N2' | '8E1' | '8O1' | '7E1' | '7O1'

/** How Modbus requests are framed. */
export type Framing = 'rtu' | 'ascii' | 'tcp'

/** The protocols in which a page of registers is read, and the framing of each. */
export const PAGE_FRAMINGS = { 'modbus-rtu': 'rtu', 'modbus-ascii': 'ascii', 'modbus-tcp': 'tcp' } as const

export type MeterConfig = {
  readonly line: string
  readonly everyMs: number
  /** The meter's pinned serial; a meter that gives another is refused. */
  readonly id?: string
} & (
  | { readonly protocol: keyof typeof PAGE_FRAMINGS; readonly page: string; readonly unit: number }
  /** Framed as it says or as the other meters of its line, else RTU on a serial line and TCP on a TCP line. */
  | {
      readonly protocol: 'sunspec'
      readonly unit: number
      readonly model: 'meter' | 'inverter' | 'battery'
      /** Which of several models of this kind, from 1. */
      readonly nth?: number
      /** What flows when the power register is positive: of a battery nobody else can say. */
      readonly positive?: 'import' | 'export'
      /** The most registers that the device gives in one answer. */
      readonly maxRegisters?: number
      readonly framing?: Framing
    }
  /** Modes A to C: asked, through an optical head, by its address where several share the head; mode D: pushed. */
  | { readonly protocol: 'iec62056'; readonly address?: string; readonly mode?: 'pushed' }
  /** Wired M-Bus: several may share a line. */
  | { readonly protocol: 'mbus'; readonly address: MbusAddress }
  | {
      readonly protocol: 'sml' | 'dsmr' | 'dlms' | 'dlms-raw'
      /** Files of 32 hex digits. */
      readonly keyFile?: string
      readonly authKeyFile?: string
    }
)

export type RelayBankConfig =
  | {
      readonly driver: 'modbus-coils'
      readonly line: string
      readonly unit: number
      /** A contact opens by itself this long after its last close command. */
      readonly timedMs: number
    }
  | { readonly driver: 'johnny-five'; readonly bank: string }

/** One contact: the bank's name and the channel on it, counted from 1. */
export interface ContactRef {
  readonly bank: string
  readonly channel: number
}

export interface DirectLineConfig {
  readonly id: string
  readonly side: 'seller' | 'buyer'
  readonly peer: string
  /** This end's line meter, by its name under `meters`. */
  readonly meter: string
  /** The other end's line meter, by its serial. */
  readonly peerMeter: string
  /** Per phase. */
  readonly limit: Current
  readonly contacts: {
    readonly line: ContactRef
    /** Opened as well when the line's own contact is found welded. */
    readonly upstream?: ContactRef
    /** The buyer's changeover: the separable circuit's own supply. */
    readonly own?: ContactRef
  }
  /** What the line feeds at the buyer's end. */
  readonly circuit?: { readonly name: string; readonly phases: 1 | 3; readonly load?: Power }
}

/** Raw public keys of a neighbour, 32 bytes each; the metering key may be of P-256, compressed to 33. */
export interface PeerConfig {
  readonly account: Uint8Array
  readonly sealing: Uint8Array
  readonly metering: Uint8Array
}

export interface SellConfig {
  /** The first price asked. */
  readonly opening: Price
  /** Never below this. */
  readonly reserve: Price
  /** What a battery or generator can give at any time; without it, the surplus that the grid meter shows is sold. */
  readonly capacity?: Power
}

export interface TradeConfig {
  readonly sell?: SellConfig
  /** Never above `limit`; the first bid is `opening`. */
  readonly buy?: { readonly limit: Price; readonly opening: Price }
  readonly slotMs: number
  readonly receiptWindowMs: number
  readonly disputeWindowMs: number
  /** Energy asked for in one deal. */
  readonly energy: WattHours
  readonly lossPermille: number
  /** How long a buyer's circuit asks for nothing after a deal, as a compressor that wants to stand still for a while. */
  readonly pauseMs: number
}

/** What a site does more seldom while no deal holds any of its lines. */
export interface RestConfig {
  /** Between two looks at contacts that stand where they should. */
  readonly lookMs: number
  readonly lineMetersMs: number
}

/** What the site sets differently from the interlock's own limits. */
export interface SafetyConfig {
  readonly voltageMinMv?: number
  readonly voltageMaxMv?: number
  readonly frequencyMinMhz?: number
  readonly frequencyMaxMhz?: number
  readonly minOffMs?: number
  readonly maxProofAgeMs?: number
}
