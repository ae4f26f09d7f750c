/**
 * One site's configuration as the agent uses it: quantities in their base units, names resolved, durations in
 * milliseconds. The form on disk is agent/config/schema.ts; what a setting leaves out is absent here too, unless its
 * default is written beside it there.
 */
import type { MbusAddress } from '../../drivers/meters/mbus-meter.ts'
import type { RewardSink } from '../../protocol/market/reward.ts'
import type { Current, Power, Price, WattHours } from '../../protocol/quantity.ts'
import type { Source } from '../../protocol/trade/contract.ts'
import type { ChargingConfig } from './charging-config.ts'
import type { PurseConfig } from './coin-config.ts'
import type { PageConfig } from './page-config.ts'
import type { BrokerTlsConfig, PublishConfig } from './publish-config.ts'
import type { ContactRef, RelayBankConfig } from './relay-config.ts'
import type { AggregatorConfig, CommunityConfig, DemandResponseConfig, RegulatorConfig } from './service-config.ts'

/** What a site is to the others. Every role is the same agent; the parts that its configuration names are at work in it. */
export const ROLES = [
  'household',
  'charger',
  'storage',
  'distributor',
  'community',
  'regulator',
  'generator',
  'retailer',
  'car',
  'aggregator',
  'validator',
] as const
export type Role = (typeof ROLES)[number]

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
  /** Absent: nothing is proven, so nothing is traded; meters are read, signed, shown and told. */
  readonly ledger?: LedgerConfig
  /** MQTT brokers, where neighbours are met: published to all, duplicates dropped. */
  readonly brokers: readonly string[]
  readonly brokerTls?: BrokerTlsConfig
  readonly lines: Readonly<Record<string, LineConfig>>
  readonly meters: Readonly<Record<string, MeterConfig>>
  readonly relays: Readonly<Record<string, RelayBankConfig>>
  /** What this runs on: a name of hw/boards or the path of a file, as `openBoard` takes it. */
  readonly board?: string
  readonly directLines: readonly DirectLineConfig[]
  readonly peers: Readonly<Record<string, PeerConfig>>
  readonly trade: TradeConfig
  /** Absent: this site trades over direct lines only. */
  readonly grid?: GridConfig
  /** The ledger of the distribution network, followed by a light client of its own. */
  readonly distribution?: DistributionConfig
  /** Of the site that answers for the lines of the distribution network. */
  readonly distributor?: DistributorConfig
  /** Of the operator of a store. */
  readonly storage?: StorageConfig
  /** Of the site that certifies one-time keys. */
  readonly registrar?: RegistrarConfig
  /** This site signs blind coins; the ledger gives it that role. */
  readonly mint?: true
  readonly purse?: PurseConfig
  /** A car's: whatever its meters count goes into it or comes out of it. */
  readonly battery?: BatteryConfig
  /** Of the station or building that holds the auction of its car park. */
  readonly carPark?: CarParkConfig
  /** Of a car that takes part in one. */
  readonly parkCar?: ParkCarConfig
  /** Takes less when it is called. */
  readonly demandResponse?: DemandResponseConfig
  /** Calls others to take less. */
  readonly aggregator?: AggregatorConfig
  readonly community?: CommunityConfig
  readonly regulator?: RegulatorConfig
  /** What the site guard protects, and whom it tells how much. */
  readonly charging?: ChargingConfig
  /** What the home is told over MQTT. */
  readonly publish?: PublishConfig
  readonly safety: SafetyConfig
  /** Absent: at rest everything goes on as during a deal. */
  readonly rest?: RestConfig
  readonly page: PageConfig
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

/** Trading over the grid: models B (ad hoc) and C (storage). */
export interface GridConfig {
  /** The grid meter, by its name under `meters`. */
  readonly meter: string
  /** Node of the distribution network from which that meter hangs. */
  readonly node: string
  readonly source: Source
  /** Windows start at multiples of this since the epoch. */
  readonly slotMs: number
  /** A slot is asked for so long before it starts; in a call auction the book closes then. */
  readonly leadMs: number
  /** How a buyer finds its seller: the best open bid, the best sealed bid, or a call auction that everybody clears for himself. */
  readonly way: 'matching' | 'bidding' | 'auction'
  readonly sell?: { readonly reserve: Price; readonly opening: Price; readonly capacity?: Power }
  readonly buy?: {
    readonly limit: Price
    readonly opening: Price
    /** Less is not worth a deal. */
    readonly least: WattHours
    /** Wanted in every slot, whatever the meter shows: a load that a deal switches on. */
    readonly energy?: WattHours
  }
  /** What a kWh of a source is worth to the buyer beyond its price; a source that is not named is worth nothing more. */
  readonly premium: Readonly<Partial<Record<Source, Price>>>
  /** No source but those that `premium` names, at any price. */
  readonly strict: boolean
  /** Peers never traded with, by name. */
  readonly refuse: readonly string[]
  readonly receiptWindowMs: number
  readonly disputeWindowMs: number
  readonly receipts?: 'sealed'
  /** The supplier's, for what nobody else takes or gives. */
  readonly tariff?: { readonly import: Price; readonly feedIn: Price }
  /** A standing agreement with a store: what is left over goes there by itself (model C). */
  readonly store?: {
    readonly peer: string
    readonly storePrice: Price
    readonly returnPrice: Price
    readonly most: WattHours
    /** What points that the store issues become; points, where left out. */
    readonly reward?: RewardSink
    /** An hour ahead: so much more of each slot is given, or taken, at these prices. */
    readonly balance?: { readonly sell?: Price; readonly buy?: Price; readonly most: WattHours }
  }
  /** Orders of the call auction under one-time keys that this peer certifies, and none without. */
  readonly pseudonyms?: {
    readonly registrar: string
    /** What an order says of its place: the feeder that many share. */
    readonly feeder: string
  }
}

export interface DistributionConfig extends LedgerConfig {
  /** The peer that answers for capacity and fees. */
  readonly distributor: string
}

export interface DistributorConfig {
  /** By name, as on the ledger. */
  readonly lines: Readonly<
    Record<
      string,
      {
        /** The line that it hangs from. */
        readonly feeder?: string
        /** What it carries in a quarter of an hour. */
        readonly capacity: WattHours
        /** What its use costs, per kWh. */
        readonly tariff: Price
        /** What a kWh costs beyond the tariff where the slot is wholly reserved; in proportion below. */
        readonly congestion?: Price
      }
    >
  >
}

export interface RegistrarConfig {
  /** Slots of the market whose keys it certifies. */
  readonly slotMs: number
  /** Keys are published for so many slots ahead. */
  readonly ahead: number
}

/** What the operator of a store has to give, and its conditions. Energies at its grid meter, in a quarter of an hour. */
export interface StorageConfig {
  readonly capacity: WattHours
  /** Never below this. */
  readonly reserve: WattHours
  /** What is in it when it first starts; from then on its meter counts. Without it nothing is granted. */
  readonly stored?: WattHours
  readonly charge: WattHours
  readonly discharge: WattHours
  readonly chargePermille: number
  readonly dischargePermille: number
  /** It pays no more, and asks no less. */
  readonly storePrice: Price
  readonly returnPrice: Price
  /** For one customer. */
  readonly most: WattHours
  readonly noticeMs: number
  /** For 1,000 points, each a watt-hour that another has consumed; absent: none are issued. */
  readonly reward?: Price
}

export interface BatteryConfig {
  readonly capacity: WattHours
  /** Nothing is sold out of it below this. */
  readonly reserve: WattHours
  /** What is in it when the agent first starts; from then on its meters count. */
  readonly stored: WattHours
  readonly chargePermille: number
  readonly dischargePermille: number
}

export interface CarParkConfig {
  /** What its connection to the grid carries: no more comes from outside for all cars together. */
  readonly connection: Power
  /** What that costs: the first kWh of a slot, and by how much each further one is dearer. */
  readonly price: Price
  readonly rise: Price
}

export interface ParkCarConfig {
  /** The peer that holds the auction. */
  readonly station: string
  /** What its charger takes or gives. */
  readonly power: Power
  /** A car that charges, worth w ln(1 + kWh) to its owner: w, which is what the first kWh is worth. */
  readonly willingness?: Price
  /** A car that gives: what the first kWh costs its owner, and by how much each further one costs more. */
  readonly cost?: Price
  readonly wear: Price
  /** A car that charges leaves with no less, as far as its charger brings it there. */
  readonly leaveWith: WattHours
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
