/** The form of `lines` and `meters`. */
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { unit } from './relay-schema.ts'
import { about, among, duration, group, name, oneOf, path, scalar, set, spelt, v, whole } from './schema-words.ts'
import type { MeterConfig, PAGE_FRAMINGS } from './site-config.ts'

export const meterSerial = spelt(/^[\x21-\x7e]{1,64}$/, "a meter's serial, without blanks")
/** From once in 100 ms, faster than any page answers, to a quarter of an hour, the settlement period of most grids. */
const every = about('How often it is read.', v.optional(duration(100, 900_000, 'a duration from 100ms to 15min'), '1s'))
const BAUDS = [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200]
const baud = scalar(
  text => BAUDS.find(rate => String(rate) === text),
  `one of ${BAUDS.join(', ')}`,
  forms.words(...BAUDS),
)

export const lineForm = v.pipe(
  group({
    serial: about(
      'The serial device; /dev/serial/by-id/ names the same adapter wherever it is plugged in.',
      v.optional(path),
    ),
    baud: about('Its speed; as the first meter on it leaves its factory, where it is not said.', v.optional(baud)),
    format: about(
      'Data bits, parity, stop bits; the same.',
      v.optional(oneOf('8N1', '8N2', '8E1', '8O1', '7E1', '7O1')),
    ),
    rs485: about(
      'Of a UART that switches an RS-485 transceiver by RTS: what RTS is while sending.',
      v.optional(oneOf('rts-high', 'rts-low')),
    ),
    tcp: about(
      'A gateway or meter on the network.',
      v.optional(scalar(literals.parseHostPort, 'host:port, as in meter.local:502', forms.HOST_PORT)),
    ),
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

const anyMeter = {
  line: about('The line that it is on.', name),
  every,
  id: about('Its serial; a meter that gives another is refused.', v.optional(meterSerial)),
}
const PROTOCOL = 'What it speaks.'
const pageMeter = <const P extends keyof typeof PAGE_FRAMINGS>(protocol: P) =>
  group({
    protocol: about(PROTOCOL, v.literal(protocol)),
    ...anyMeter,
    page: about('Its page of registers (tieline pages).', name),
    unit,
  })
const mbusAddress = scalar(
  literals.parseMbusAddress,
  'an M-Bus address: 0 to 250, 254, or 8 digits with F for any, then maker, version and medium as in 12345678-TLN-01-02',
  forms.MBUS_ADDRESS,
)
const iecAddress = spelt(/^[A-Za-z0-9 ]{1,32}$/, 'a device address: at most 32 letters, digits or blanks')
const pushed = v.literal('pushed', 'must be pushed, or left out for a meter that is asked')
const iec = {
  address: about('Which of several meters under one optical head.', v.optional(iecAddress)),
  mode: about('Of a meter that sends by itself (mode D).', v.optional(pushed)),
}
const sunspec = {
  model: about('What kind of device it is.', v.optional(oneOf('meter', 'inverter', 'battery'), 'meter')),
  /** No device is known that speaks for more. */
  nth: about('Which of several models of this kind, from 1.', v.optional(whole(1, 99, 'a whole number from 1 to 99'))),
  positive: about('What flows when the power register is positive.', v.optional(oneOf('import', 'export'))),
  max_registers: about(
    'The most registers that it gives in one answer.',
    v.optional(whole(2, 125, 'a whole number from 2 to 125')),
  ),
  framing: about(
    'How requests are framed; as usual on its line, where it is not said.',
    v.optional(oneOf('rtu', 'ascii', 'tcp')),
  ),
}
const keyedMeter = <const P extends 'dsmr' | 'dlms' | 'dlms-raw'>(protocol: P) =>
  group({
    protocol: about(PROTOCOL, v.literal(protocol)),
    ...anyMeter,
    key_file: about('File of its encryption key, 32 hexadecimal digits.', v.optional(path)),
    auth_key_file: about('File of its authentication key, the same.', v.optional(path)),
  })
const PROTOCOLS = 'modbus-rtu modbus-ascii modbus-tcp sunspec iec62056 mbus sml dsmr dlms dlms-raw'.split(' ')
export const meterForm = v.pipe(
  v.variant(
    'protocol',
    [
      pageMeter('modbus-rtu'),
      pageMeter('modbus-ascii'),
      pageMeter('modbus-tcp'),
      group({ protocol: about(PROTOCOL, v.literal('sunspec')), ...anyMeter, unit, ...sunspec }),
      group({ protocol: about(PROTOCOL, v.literal('iec62056')), ...anyMeter, ...iec }),
      group({
        protocol: about(PROTOCOL, v.literal('mbus')),
        ...anyMeter,
        address: about('Its address on the bus.', mbusAddress),
      }),
      group({ protocol: about(PROTOCOL, v.literal('sml')), ...anyMeter }),
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
