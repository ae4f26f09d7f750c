/** `tieline-bench record` and `tieline-bench play`: a live line into a capture file, and a capture on a line of its own. */
import { program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode, exitOf } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { type Capture, parseCapture } from '../../drivers/line/capture.ts'
import { createSerialLine } from '../../drivers/line/serial.ts'
import { createTcpLine } from '../../drivers/line/tcp.ts'
import { createTextAppender, type TextAppender } from '../../drivers/text-appender.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { type Fault, faultLine } from '../../protocol/result.ts'
import { playCapture } from '../sim/player.ts'
import { recordLine } from '../sim/recorder.ts'
import { readFlags, UsageError } from './flags.ts'
import { address, baudRate, serialFormat } from './meter-options.ts'
import { openPlug } from './plug.ts'
import type { SerialFormat } from './serial-format.ts'
import type { BenchSurroundings } from './surroundings.ts'

const STATUS_MS = 1_000
const DEFAULT_BAUD = 9_600
const SPEED_MOST = 1_000_000

interface RecordOptions {
  readonly line: string
  readonly baud: number
  readonly format: SerialFormat
}

const SETTINGS = {
  '8N1': { dataBits: 8, parity: 'none', stopBits: 1 },
  '8N2': { dataBits: 8, parity: 'none', stopBits: 2 },
  '8E1': { dataBits: 8, parity: 'even', stopBits: 1 },
  '8O1': { dataBits: 8, parity: 'odd', stopBits: 1 },
  '7E1': { dataBits: 7, parity: 'even', stopBits: 1 },
  '7O1': { dataBits: 7, parity: 'odd', stopBits: 1 },
} as const satisfies Record<SerialFormat, object>

const RECORD_EXAMPLES = `
It only listens: what other programs ask on the same line is heard where the adapter hears it. A device path is a serial
line, host:port a TCP connection. A file that is there is not overwritten.

Examples:
  tieline-bench record --line /dev/ttyUSB0 --baud 9600 meter.capture
  tieline-bench record --line 192.168.1.20:8899 meter.capture
`

export async function benchRecord(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  let given: { file: string; options: RecordOptions } | undefined
  const command = program('tieline-bench record', around.terminal)
    .description('Listen on a line until Ctrl-C and write what is heard, and when, into a file.')
    .argument('<file>', 'the capture to make')
    .requiredOption('--line <device>', 'a serial device, or host:port')
    .option('--baud <n>', 'of a serial device', baudRate, DEFAULT_BAUD)
    .option('--format <f>', 'data bits, parity, stop bits', serialFormat, '8N1')
    .addHelpText('after', RECORD_EXAMPLES)
    .action((file: string, options: RecordOptions) => {
      given = { file, options }
    })
  const exit = await readFlags(command, args, around.terminal)
  return given === undefined ? (exit ?? EXIT.ok) : record(given.file, given.options, around)
}

async function record(
  file: string,
  { line: name, baud, format }: RecordOptions,
  { terminal, columns, interruption }: BenchSurroundings,
): Promise<ExitCode> {
  const { clock, timers } = createSystemTime()
  const tcp = /^[^/]+:\d{1,5}$/.test(name) ? address(name) : undefined
  const line =
    tcp === undefined
      ? createSerialLine({ path: name, baudRate: baud, ...SETTINGS[format] }, clock, timers)
      : createTcpLine(tcp.host, tcp.port, clock, timers)
  // The file is made once there is a line to record; the little that comes before waits.
  let appender: TextAppender | undefined
  let waiting = ''
  let end = (_why: Fault | undefined) => {}
  const ended = new Promise<Fault | undefined>(resolve => {
    end = resolve
  })
  const recording = recordLine(line, {
    baud: tcp === undefined ? baud : 0,
    format,
    clock,
    write: text => {
      waiting += text
      const written = appender?.append(waiting)
      if (written === undefined) return
      waiting = ''
      if (!written.ok) end(written.fault)
    },
  })
  const opened = await recording.line.open({ bytes: () => {}, down: end })
  if (!opened.ok) return refuse('record', opened.fault, terminal)
  const created = createTextAppender(file)
  if (created.ok) {
    appender = created.value
    appender.append(waiting)
    waiting = ''
  } else end(created.fault)
  const status = () => `${recording.counts.chunks} chunks, ${recording.counts.bytes} bytes into ${file}`
  const stop = timers.every(STATUS_MS, () => {
    if (columns() !== undefined) terminal.err(`\r\u001b[K${status()}`)
  })
  const why = await Promise.race([ended, interruption().then(() => undefined)])
  stop()
  await recording.line.close()
  appender?.close()
  if (columns() !== undefined) terminal.err('\r\u001b[K')
  if (why !== undefined) return refuse('record', why, terminal)
  terminal.err(`${status()}\n`)
  return EXIT.ok
}

interface PlayOptions {
  readonly speed: number
  readonly tcp?: { readonly host: string; readonly port: number }
  readonly wait: number
  readonly repeat?: true
}

const PLAY_EXAMPLES = `
What came from the device is written again, each chunk at its time; the device's path or the port is printed first.

Examples:
  tieline-bench play meter.capture
  tieline-bench play meter.capture --speed 10 --repeat
  tieline-bench play meter.capture --tcp 8899
`

function speed(text: string): number {
  const times = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (times > 0 && times <= SPEED_MOST) return times
  throw new UsageError(`--speed must be above 0 and at most ${SPEED_MOST}, not "${text}"`)
}

function seconds(text: string): number {
  const value = /^\d{1,5}(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= 0) return value
  throw new UsageError(`--wait must be seconds, not "${text}"`)
}

export async function benchPlay(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  let given: { file: string; options: PlayOptions } | undefined
  const command = program('tieline-bench play', around.terminal)
    .description('Play a capture on a serial device of its own (a pseudo-terminal) or on TCP.')
    .argument('<file>', 'a capture of tieline-bench record')
    .option('--speed <n>', 'so many times faster', speed, 1)
    .option('--wait <s>', 'seconds before it begins, and after its end', seconds, 1)
    .option('--repeat', 'begin again at the end, until Ctrl-C')
    .option('--tcp <[host:]port>', 'serve on TCP instead, from each connection on; 0 for any free port', address)
    .addHelpText('after', PLAY_EXAMPLES)
    .action((file: string, options: PlayOptions) => {
      given = { file, options }
    })
  const exit = await readFlags(command, args, around.terminal)
  if (given === undefined) return exit ?? EXIT.ok
  const { terminal } = around
  const text = await readTextFile(given.file)
  if (!text.ok) return refuse('play', text.fault, terminal)
  const capture = parseCapture(text.value)
  if (!capture.ok) return refuse('play', { ...capture.fault, file: given.file }, terminal)
  for (const fault of capture.value.faults) terminal.err(`${given.file}: ${faultLine(fault)}, passed over\n`)
  return play(capture.value, given.options, around)
}

async function play(capture: Capture, options: PlayOptions, around: BenchSurroundings): Promise<ExitCode> {
  const { terminal, interruption } = around
  const time = createSystemTime()
  let over = () => {}
  const played = new Promise<void>(resolve => {
    over = resolve
  })
  const plug = await openPlug(options.tcp, end => {
    let live = true
    let stop = () => {}
    const run = async () => {
      do {
        await time.timers.sleep(options.wait * 1000)
        if (!live) return
        const player = playCapture(capture.chunks, end, options.speed, time)
        stop = player.stop
        await player.ended
      } while (live && options.repeat === true)
      // What was written last is to be read before the device goes away.
      await time.timers.sleep(options.wait * 1000)
      if (live) over()
    }
    void run()
    return () => {
      live = false
      stop()
    }
  })
  if (!plug.ok) return refuse('play', plug.fault, terminal)
  const { line, baud, format, started } = capture.header
  terminal.out(`${plug.value.where()}\n`)
  terminal.err(
    `${capture.chunks.length} chunks of ${line}${baud > 0 ? ` at ${baud} baud ${format}` : ''}, ${started}\n`,
  )
  await Promise.race([played, interruption()])
  await plug.value.close()
  return EXIT.ok
}

function refuse(command: string, fault: Fault, terminal: Terminal): ExitCode {
  terminal.err(`tieline-bench ${command}: ${faultLine(fault)}\n`)
  return exitOf(fault)
}
