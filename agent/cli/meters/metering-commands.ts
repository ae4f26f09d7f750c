/** The commands that have to do with meters and need no site: what they understand, and which function carries each out. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { DecodeOptions } from './decode.ts'
import type { DetectOptions } from './detect.ts'
import type { ReadOptions } from './read-target.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addMetering(
  add: Add,
  terminal: Terminal,
  interruption: () => Promise<void>,
  leave: (exit: ExitCode) => void,
): void {
  /** Somebody wants the program to end, or nobody reads any more what it says. */
  const interrupted = () => Promise.race([interruption(), ...(terminal.unread === undefined ? [] : [terminal.unread])])
  add('pages', 'List the meters that can be read, and how far the knowledge of each goes; or show one.', [
    'tieline pages',
    'tieline pages eastron-sdm630',
    'tieline pages --json | jq -r .name',
  ])
    .argument('[name]', 'a page or a kind of telegram')
    .option('--json', 'one JSON object a line')
    .action(async (name: string | undefined, options: { json?: true }) => {
      const { pages } = await import('./pages.ts')
      leave(pages(name, options.json === true, terminal))
    })

  keyOptions(
    add('decode', 'Say what a recording of telegrams (sml, dsmr, ...) or of a Modbus RTU line holds.', [
      'tieline decode sml meter.bin',
      'tieline decode dsmr telegram.txt --json | jq .values',
      'tieline decode dlms push.log --key-file meter.key --auth-key-file meter.gak',
      'stty -F /dev/ttyUSB0 9600 raw; head -c 2000 /dev/ttyUSB0 | tieline decode sml -',
    ])
      .argument('<kind>', 'a kind of telegram, or modbus')
      .argument('<file>', 'bytes, hex text, or a capture of tieline-bench; - for standard input')
      .option('--json', 'one JSON object a line: a frame, or a stretch that makes none')
      .addHelpText('after', DECODE_JSON),
  ).action(async (kind: string, file: string, options: DecodeOptions) => {
    const { decode } = await import('./decode.ts')
    leave(await decode(kind, file, options, terminal))
  })

  keyOptions(
    add('read', 'Read one meter, once or again and again, without an agent.', [
      'tieline read --page eastron-sdm630 --line /dev/ttyUSB0 --baud 9600 --unit 1',
      'tieline read --page shelly-pro-3em --tcp 192.168.1.40:502 --every 1s',
      'tieline read --page eastron-sdm630 --tcp gateway:8899 --framing rtu --json',
      'tieline read --page sunspec-inverter --tcp inverter:502 --unit 126',
      'tieline read --telegram dlms --line /dev/ttyUSB0 --key-file meter.key --count 3',
      'tieline read --config site.yaml grid',
    ])
      .argument('[meter]', 'a meter of the configuration')
      .option('--config <file>', 'the configuration, for a meter that it names')
      .option('--page <name>', 'what to read it by: a page of `tieline pages`, sunspec, iec62056 or mbus')
      .option('--telegram <kind>', 'for a meter that speaks unasked: sml, dsmr, dlms, ...')
      .option('--line <device>', 'a serial device; a name under /dev/serial/by-id stays with its adapter')
      .option('--tcp <host:port>', 'instead of a serial device')
      .option('--framing <kind>', 'rtu, ascii or tcp; rtu on a serial device, tcp on TCP when left out')
      .option('--baud <n>', 'as the product leaves its factory, else 9600')
      .option('--format <form>', 'data bits, parity, stop bits: 8N1, 8E1, ...')
      .option('--unit <n>', 'as the product leaves its factory, else 1')
      .option('--address <text>', 'of an M-Bus meter (primary, or 8 digits), or of one that iec62056 asks')
      .option('--nth <n>', 'of several SunSpec models of the kind, from 1')
      .option('--max-registers <n>', 'the most that a SunSpec device gives in one answer, where it is less than 125')
      .option('--positive <way>', 'of a SunSpec battery: import or export, what flows when its power is positive')
      .option('--id <serial>', 'the serial number that it must have, or of a product that tells none')
      .option('--every <duration>', 'read again and again, as in 1s')
      .option('--count <n>', 'so many readings')
      .option('--json', 'one JSON object a reading')
      .addHelpText('after', READ_JSON),
  ).action(async (name: string | undefined, options: ReadOptions) => {
    const { read } = await import('./read.ts')
    leave(await read(name, options, terminal, interrupted()))
  })

  add('detect', 'Find the meters on a line: those that speak unasked, and those that answer. Only reads are sent.', [
    'tieline detect',
    'tieline detect --line /dev/ttyUSB0 --baud 9600',
    'tieline detect --line /dev/ttyUSB0 --baud 9600,19200 --format 8N1,8E1 --units 1-20 --json',
    'tieline detect --tcp 192.168.1.40',
    'tieline detect --tcp gateway:8899 --framing rtu --units 1-247',
  ])
    .option('--line <device>', 'a serial device; all of this machine when left out')
    .option('--tcp <host[:port]>', 'instead of serial devices')
    .option('--framing <kind>', 'rtu, ascii or tcp; rtu on a serial device, tcp on TCP when left out')
    .option('--baud <list>', 'the speeds to try, in this order', '9600,19200,115200,2400')
    .option('--format <list>', 'the forms of a character to try', '8N1')
    .option('--units <list>', 'the units to ask, as in 1-10,42')
    .option('--json', 'one JSON object a meter')
    .addHelpText('after', DETECT_JSON)
    .action(async (options: DetectOptions) => {
      const { detect } = await import('./detect.ts')
      leave(await detect(options, terminal, interrupted()))
    })
}

/** The order of the fields is part of it: programs and people compare lines. */
const DECODE_JSON = `
With --json, a frame is {"ok":true,"meter":TEXT or null,"values":[...]}, with "checked":false where nothing but its
form vouches for it. A value is {"obis":NAME,"value":DIGITS,"scaler":N,"unit":UNIT}: DIGITS times ten to the N, in UNIT as the
telegram writes it; "at":"YYMMDDhhmmss" behind it, then S or W for summer or winter, is the meter's own time of a
value that is not of now. What makes no frame is {"ok":false,"fault":{"code":WHY,...,"offset":N,"bytes":N}}, and the exit code is 1.
`

const READ_JSON = `
With --json, a reading is {"ok":true,"meter":SERIAL,"taken":TIME,"age":MS,"values":[...],"rawHash":HEX,"absent":[NAME,...]}.
A value is {"obis":NAME,"value":DIGITS,"scaler":N,"unit":UNIT,"name":NAME or null}: DIGITS times ten to the N, in UNIT;
"at" as \`tieline decode --help\` has it. "absent" is what the page reads and the meter did not say; "rawHash" is SHA-256 of what
was on the wire. A meter that cannot be read is {"ok":false,"fault":{"code":WHY,...}}.
`

const DETECT_JSON = `
With --json, a slave is {"ok":true,"line":DEVICE,"baud":N,"format":FORM,"framing":KIND,"unit":N,"pages":[...],"models":[N,...],
"says":[TEXT,...]}, a page {"page":NAME,"certainty":"certain", "likely" or "possible","meter":SERIAL or null,"because":[...]};
a meter that speaks unasked is {"ok":true,"line":DEVICE,"baud":N,"format":FORM,"telegram":KIND,"meter":SERIAL or null,
"encrypted":BOOLEAN}, with "maker":TEXT where an encrypted one says so. On TCP, "tcp":"HOST:PORT" stands for line, baud and
format. A line that cannot be opened is {"ok":false,...,"fault":{"code":WHY,...}}.
`

const keyOptions = (command: Command): Command =>
  command
    .option('--key <hex>', 'encryption key (GUEK), 32 hex digits; better in a file or in TIELINE_KEY')
    .option('--key-file <file>', 'a file that holds it')
    .option('--auth-key <hex>', 'authentication key (GAK); better in a file or in TIELINE_AUTH_KEY')
    .option('--auth-key-file <file>', 'a file that holds it')
