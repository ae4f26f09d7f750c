/** The form of config.yaml. */
import { keysForm } from './key-schema.ts'
import { withSpeed } from './line-settings.ts'
import * as literals from './literals.ts'
import { issueOf, type SchemaIssue } from './schema-issue.ts'
import { among, filled, group, name, named, oneOf, path, scalar, set, v } from './schema-words.ts'
import type { MeterConfig, PAGE_FRAMINGS, SiteConfig } from './site-config.ts'
import type { YamlValue } from './yaml.ts'

const meterSerial = scalar(
  text => (/^[\x21-\x7e]{1,64}$/.test(text) ? text : undefined),
  "a meter's serial, without blanks",
)
const duration = (least: number, most: number, meant: string) =>
  scalar(literals.within(literals.parseDuration, least, most), meant)
/** From once in 100 ms, faster than any page answers, to a quarter of an hour, the settlement period of most grids. */
const every = v.optional(duration(100, 900_000, 'a duration from 100ms to 15min'), '1s')
const window = duration(1000, 30 * 86_400_000, 'a duration from 1s to 30d')
const key = scalar(literals.parseHex32, 'a public key: 64 hexadecimal digits')
const signingKey = scalar(literals.parseSigningKey, 'a public key: 64 hexadecimal digits, or 66 of a P-256 key')
const contact = scalar(literals.parseContact, 'a contact: the bank and the channel, as in board.1')
const price = scalar(literals.parsePrice, 'a price for one kWh, as in 0.28, with at most 6 decimals')
const RELAY_NAME = 'the name of a relay: at most 32 small letters, digits or -'
/** `mqtt:relay-1` is a ledger node that a relay of that name serves over the site's own brokers. */
const ledgerSource = scalar(
  literals.parseLedgerSource,
  'an address such as http://127.0.0.1:26657, or a relay such as mqtt:relay-1',
)
const flag = scalar(literals.parseBoolean, 'true or false')
/** Unit 0 is broadcast, 248 to 255 are reserved (Modbus over serial line V1.02, 2.2), but TCP gateways answer at 255. */
const unit = scalar(
  text => (text === '255' ? 255 : literals.within(literals.parseWhole, 1, 247)(text)),
  'a Modbus unit from 1 to 247, or 255',
)
const BAUDS = [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200]
const baud = scalar(text => BAUDS.find(rate => String(rate) === text), `one of ${BAUDS.join(', ')}`)

const lineForm = v.pipe(
  group({
    serial: v.optional(path),
    baud: v.optional(baud),
    format: v.optional(oneOf('8N1', '8N2', '8E1', '8O1', '7E1', '7O1')),
    rs485: v.optional(oneOf('rts-high', 'rts-low')),
    tcp: v.optional(scalar(literals.parseHostPort, 'host:port, as in meter.local:502')),
  }),
  v.check(
    it => (it.serial === undefined) !== (it.tcp === undefined),
    'must have either serial (a device) or tcp (host:port)',
  ),
  v.check(it => it.tcp === undefined || it.rs485 === undefined, 'is tcp: rs485 is for serial'),
  v.transform(({ serial, baud, format, rs485, tcp }) =>
    tcp === undefined
      ? ({ kind: 'serial', path: serial!, ...set({ baud, format, rs485 }) } as const)
      : ({ kind: 'tcp', host: tcp.host, port: tcp.port } as const),
  ),
)

const anyMeter = { line: name, every, id: v.optional(meterSerial) }
const pageMeter = <const P extends keyof typeof PAGE_FRAMINGS>(protocol: P) =>
  group({ protocol: v.literal(protocol), ...anyMeter, page: name, unit })
const mbusAddress = scalar(
  literals.parseMbusAddress,
  'an M-Bus address: 0 to 250, 254, or 8 digits with F for any, then maker, version and medium as in 12345678-TLN-01-02',
)
const iecAddress = scalar(literals.parseIecAddress, 'a device address: at most 32 letters, digits or blanks')
const pushed = v.literal('pushed', 'must be pushed, or left out for a meter that is asked')
const iec = { address: v.optional(iecAddress), mode: v.optional(pushed) }
const model = v.optional(oneOf('meter', 'inverter', 'battery'), 'meter')
const sunspec = {
  model,
  /** No device is known that speaks for more. */
  nth: v.optional(scalar(literals.within(literals.parseWhole, 1, 99), 'a whole number from 1 to 99')),
  positive: v.optional(oneOf('import', 'export')),
  max_registers: v.optional(scalar(literals.within(literals.parseWhole, 2, 125), 'a whole number from 2 to 125')),
  framing: v.optional(oneOf('rtu', 'ascii', 'tcp')),
}
const keyedMeter = <const P extends 'dsmr' | 'dlms' | 'dlms-raw'>(protocol: P) =>
  group({ protocol: v.literal(protocol), ...anyMeter, key_file: v.optional(path), auth_key_file: v.optional(path) })
const PROTOCOLS = 'modbus-rtu modbus-ascii modbus-tcp sunspec iec62056 mbus sml dsmr dlms dlms-raw'.split(' ')
const meter = v.pipe(
  v.variant(
    'protocol',
    [
      pageMeter('modbus-rtu'),
      pageMeter('modbus-ascii'),
      pageMeter('modbus-tcp'),
      group({ protocol: v.literal('sunspec'), ...anyMeter, unit, ...sunspec }),
      group({ protocol: v.literal('iec62056'), ...anyMeter, ...iec }),
      group({ protocol: v.literal('mbus'), ...anyMeter, address: mbusAddress }),
      group({ protocol: v.literal('sml'), ...anyMeter }),
      keyedMeter('dsmr'),
      keyedMeter('dlms'),
      keyedMeter('dlms-raw'),
    ],
    among(PROTOCOLS),
  ),
  v.transform(it => {
    // What is left out has no key at all; the types of valibot cannot say so.
    const { every, key_file, auth_key_file, max_registers, ...rest } = it as typeof it & {
      key_file?: string
      auth_key_file?: string
      max_registers?: number
    }
    const named = set({ keyFile: key_file, authKeyFile: auth_key_file, maxRegisters: max_registers })
    return { ...rest, everyMs: every, ...named } as MeterConfig
  }),
)

const relayBank = v.pipe(
  v.variant(
    'driver',
    [
      group({
        driver: v.literal('modbus-coils'),
        line: name,
        unit,
        timed: duration(100, 10_000, 'a duration from 100ms to 10s'),
      }),
      group({ driver: v.literal('johnny-five'), bank: name }),
    ],
    'must be one of modbus-coils, johnny-five',
  ),
  v.transform(it => {
    if (it.driver === 'johnny-five') return it
    const { timed, ...rest } = it
    return { ...rest, timedMs: timed }
  }),
)

const directLine = v.pipe(
  group({
    id: name,
    side: oneOf('seller', 'buyer'),
    peer: name,
    meter: name,
    limit: scalar(literals.parseCurrent, 'a current, as in 16A'),
    peer_meter: meterSerial,
    contacts: v.pipe(
      group({ line: contact, upstream: v.optional(contact), own: v.optional(contact) }),
      v.transform(({ line, ...others }) => ({ line, ...set(others) })),
    ),
    circuit: v.optional(
      v.pipe(
        group({
          name: filled('what the line feeds, as in heat pump'),
          phases: v.optional(
            scalar(text => (text === '1' ? 1 : text === '3' ? 3 : undefined), '1 or 3'),
            '1',
          ),
          load: v.optional(scalar(literals.parsePower, 'a power, as in 3.7kW')),
        }),
        v.transform(({ name, phases, load }) => ({ name, phases, ...set({ load }) })),
      ),
    ),
  }),
  v.transform(({ peer_meter, circuit, ...rest }) => ({
    ...rest,
    peerMeter: peer_meter,
    ...set({ circuit }),
  })),
)

const trade = v.pipe(
  group({
    sell: v.optional(
      v.pipe(
        group({
          reserve: price,
          opening: price,
          capacity: v.optional(scalar(literals.parsePower, 'a power, as in 3.7kW')),
        }),
        v.transform(({ capacity, ...rest }) => ({ ...rest, ...set({ capacity }) })),
      ),
    ),
    buy: v.optional(group({ limit: price, opening: price })),
    slot: duration(1000, 86_400_000, 'a duration from 1s to 1d'),
    receipt_window: v.optional(window, '60s'),
    dispute_window: v.optional(window, '120s'),
    energy: scalar(
      text => (literals.parseEnergy(text) ? literals.parseEnergy(text) : undefined),
      'an energy above 0, as in 2kWh or 500Wh',
    ),
    loss: v.optional(scalar(literals.parsePermille, 'a share, as in 2%'), '2%'),
    pause: v.optional(duration(0, 86_400_000, 'a duration up to 1d'), '0s'),
  }),
  v.transform(it => ({
    ...set({ sell: it.sell, buy: it.buy }),
    slotMs: it.slot,
    receiptWindowMs: it.receipt_window,
    disputeWindowMs: it.dispute_window,
    energy: it.energy,
    lossPermille: it.loss,
    pauseMs: it.pause,
  })),
)

const voltage = v.optional(scalar(literals.parseVoltage, 'a voltage, as in 207V'))
const frequency = v.optional(scalar(literals.parseFrequency, 'a frequency, as in 49.5Hz'))
const safety = v.pipe(
  group({
    voltage_min: voltage,
    voltage_max: voltage,
    frequency_min: frequency,
    frequency_max: frequency,
    min_off: v.optional(duration(0, 3_600_000, 'a duration up to 1h')),
    max_proof_age: v.optional(duration(1000, 86_400_000, 'a duration from 1s to 1d')),
  }),
  v.transform(it =>
    set({
      voltageMinMv: it.voltage_min,
      voltageMaxMv: it.voltage_max,
      frequencyMinMhz: it.frequency_min,
      frequencyMaxMhz: it.frequency_max,
      minOffMs: it.min_off,
      maxProofAgeMs: it.max_proof_age,
    }),
  ),
)

const ledger = v.pipe(
  group({
    chain: scalar(
      text => (/^[A-Za-z0-9_.-]{1,50}$/.test(text) ? text : undefined),
      'a chain id of at most 50 letters, digits, . - _',
    ),
    trust: group({
      height: scalar(literals.parseHeight, 'a height from 1'),
      hash: scalar(literals.parseHex32, 'a header hash: 64 hexadecimal digits'),
    }),
    trusting_period: v.optional(duration(60_000, 365 * 86_400_000, 'a duration from 1min to 365d'), '14d'),
    max_clock_drift: v.optional(duration(0, 60_000, 'a duration up to 1min'), '10s'),
    follow: v.optional(duration(1000, 3_600_000, 'a duration from 1s to 1h'), '4s'),
    stale_after: v.optional(duration(2000, 7_200_000, 'a duration from 2s to 2h')),
    primary: ledgerSource,
    witnesses: v.array(ledgerSource, 'must be a list of addresses'),
    relay_as: v.optional(scalar(literals.parseRelayName, RELAY_NAME)),
  }),
  v.transform(({ trusting_period, max_clock_drift, follow, stale_after, relay_as, ...rest }) => ({
    ...rest,
    ...set({ staleAfterMs: stale_after, relayAs: relay_as }),
    followMs: follow,
    trustingPeriodMs: trusting_period,
    maxClockDriftMs: max_clock_drift,
  })),
)

const page = v.pipe(
  group({
    listen: v.optional(
      scalar(literals.parseLoopback, 'an address of this machine, as in 127.0.0.1:8480'),
      '127.0.0.1:8480',
    ),
    off: v.optional(flag, 'false'),
  }),
  v.transform(({ listen, off }) => ({ ...listen, off })),
)

const rest = v.pipe(
  group({
    look: duration(1000, 900_000, 'a duration from 1s to 15min'),
    line_meters: duration(1000, 900_000, 'a duration from 1s to 15min'),
  }),
  v.transform(it => ({ lookMs: it.look, lineMetersMs: it.line_meters })),
)

const clock = v.pipe(
  group({
    origin_wall_ms: scalar(literals.parseWhole, 'milliseconds since 1970'),
    origin_virtual_ms: scalar(literals.parseWhole, 'milliseconds since 1970'),
    speed: scalar(literals.within(literals.parseWhole, 1, 1000), 'a whole factor from 1 to 1000'),
  }),
  v.transform(it => ({
    originWallMs: it.origin_wall_ms,
    originVirtualMs: it.origin_virtual_ms,
    speed: it.speed,
  })),
)

/**
 * By default longer than a year of bills and a season to dispute them, and half of the smallest card that is sold. The least
 * is a day, and what two segments and the next one take.
 */
const journal = v.pipe(
  group({
    keep: v.optional(duration(86_400_000, 36_500 * 86_400_000, 'a duration from 1d to 36500d'), '400d'),
    size: v.optional(
      scalar(literals.within(literals.parseBytes, 50_000_000, 1e15), 'a size from 50MB, as in 4GB'),
      '4GB',
    ),
  }),
  v.transform(({ keep, size }) => ({ keepMs: keep, bytes: size })),
)

const site = v.pipe(
  group({
    version: v.literal('1', 'must be 1: this program reads no other version'),
    site: name,
    role: oneOf('household', 'charger', 'storage'),
    bench: v.optional(flag, 'false'),
    data: path,
    keys: keysForm,
    journal: v.optional(journal, {}),
    ledger,
    brokers: v.pipe(
      v.array(
        scalar(literals.parseUrl('mqtt:', 'mqtts:'), 'an address such as mqtt://127.0.0.1:1883'),
        'must be a list of addresses',
      ),
      v.minLength(1, 'must name at least one broker'),
    ),
    lines: v.optional(named(lineForm), {}),
    meters: named(meter),
    relays: v.optional(named(relayBank), {}),
    direct_lines: v.optional(v.array(directLine, 'must be a list of direct lines'), []),
    peers: v.optional(named(group({ account: key, sealing: key, metering: signingKey })), {}),
    trade,
    safety: v.optional(safety, {}),
    rest: v.optional(rest),
    page: v.optional(page, {}),
    clock: v.optional(clock),
  }),
  v.transform(({ version: _, direct_lines, rest, clock, lines, ...others }): SiteConfig => {
    const linesOf = Object.entries(lines).map(([name, line]) => [name, withSpeed(name, line, others.meters)])
    return { ...others, lines: Object.fromEntries(linesOf), directLines: direct_lines, ...set({ rest, clock }) }
  }),
)

/** The configuration in a value, or every issue with it. */
export function readSchema(value: YamlValue): {
  readonly config?: SiteConfig
  readonly issues: readonly SchemaIssue[]
} {
  const result = v.safeParse(site, value)
  if (result.success) return { config: result.output, issues: [] }
  return { issues: result.issues.map(issueOf) }
}
