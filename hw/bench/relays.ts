/** `tieline-bench relays`: a simulated relay board on a line of its own, until somebody ends it. Its contacts move nothing. */
import { type Command, program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode, exitOf } from '../../agent/cli/exit-codes.ts'
import { unknownName } from '../../agent/cli/usage.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import type { Position } from '../../drivers/ports.ts'
import { COIL_BOARD_KINDS, type CoilBoardKind } from '../../drivers/relays/coil-boards.ts'
import { faultLine } from '../../protocol/result.ts'
import { createCoilBoard } from '../sim/coil-board.ts'
import { createLcusBoard } from '../sim/lcus-board.ts'
import { serveModbus } from '../sim/modbus-slave.ts'
import { seededRandom } from '../sim/random.ts'
import { readFlags, UsageError, whole } from './flags.ts'
import { address } from './meter-options.ts'
import { openPlug, type Serve } from './plug.ts'
import type { BenchSurroundings } from './surroundings.ts'

const LCUS = 'lcus'
const BOARDS = [...COIL_BOARD_KINDS, LCUS]
const TURNAROUND_MS = 5

interface Asked {
  readonly board: string
  readonly unit: number
  readonly channels: number
  readonly tcp: { readonly host: string; readonly port: number } | undefined
  readonly json: boolean
}

export async function benchRelays(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  const { terminal, interruption } = around
  const read = await readAsked(args, around)
  if ('exit' in read) return read.exit
  const { asked } = read
  const { board, unit, channels, json } = asked
  const interrupted = interruption()
  const moved = (channel: number, position: Position) =>
    json
      ? terminal.out(`${JSON.stringify({ channel: channel + 1, position })}\n`)
      : terminal.err(`contact ${channel + 1} ${position}\n`)
  const { serve, switchOff } = boardOf(asked, moved)
  const plug = await openPlug(asked.tcp, serve)
  if (!plug.ok) {
    terminal.err(`tieline-bench relays: ${faultLine(plug.fault)}\n`)
    return exitOf(plug.fault)
  }
  const where = plug.value.where()
  const said = { board, ...(board === LCUS ? {} : { unit }), channels }
  terminal.out(
    json
      ? `${JSON.stringify({ place: where, ...said })}\n`
      : `${where}\n${board}${board === LCUS ? '' : `, unit ${unit}`}, channels 1 to ${channels}: what \`tieline init\` asks for\n`,
  )
  await interrupted
  await plug.value.close()
  switchOff()
  return EXIT.ok
}

function boardOf(
  { board, unit, channels, tcp }: Asked,
  moved: (channel: number, position: Position) => void,
): { readonly serve: Serve; readonly switchOff: () => void } {
  const { clock, timers } = createSystemTime()
  const common = { channels, moved, clock, timers }
  if (board === LCUS) {
    const serve: Serve = end => {
      const made = createLcusBoard({ ...common, end, reply: 'text', characterMs: 0 })
      return () => {
        made.faults.dead = true
      }
    }
    return { serve, switchOff: () => {} }
  }
  const made = createCoilBoard({ ...common, kind: board as CoilBoardKind })
  const units = new Map([[unit, made.unit]])
  const slave = {
    framing: tcp === undefined ? ('rtu' as const) : ('tcp' as const),
    ...{ characterMs: 0, turnaroundMs: TURNAROUND_MS, clock, timers, random: seededRandom(1) },
  }
  return { serve: end => serveModbus(end, units, slave), switchOff: made.powerLoss }
}

const EXAMPLES = `
Examples:
  tieline-bench relays
  tieline-bench relays --board waveshare --unit 40 --channels 8
  tieline-bench relays --board lcus --channels 2
`

interface Raw {
  readonly board: string
  readonly unit: number
  readonly channels: number
  readonly tcp?: Asked['tcp']
  readonly json?: true
}

async function readAsked(
  args: readonly string[],
  { terminal }: BenchSurroundings,
): Promise<{ readonly asked: Asked } | { readonly exit: ExitCode }> {
  let asked: Asked | undefined
  const command: Command = program('tieline-bench relays', terminal)
    .description('A simulated relay board on a serial device of its own (a pseudo-terminal) or on TCP, until Ctrl-C.')
    .option('--board <kind>', BOARDS.join(', '), 'register-ms')
    .option('--unit <n>', 'its address on Modbus', whole('--unit', 1, 247), 1)
    .option('--channels <n>', 'how many contacts it has', whole('--channels', 1, 8), 4)
    .option('--tcp <[host:]port>', 'serve Modbus TCP instead; 0 for any free port', address)
    .option('--json', 'JSON lines on stdout: where it is, then each contact that moves')
    .addHelpText('after', EXAMPLES)
    .action(({ json, tcp, ...raw }: Raw) => {
      if (!BOARDS.includes(raw.board)) throw new UsageError(unknownName('board', raw.board, BOARDS))
      if (tcp !== undefined && raw.board === LCUS) throw new UsageError('an LCUS board is on a serial line')
      asked = { ...raw, tcp, json: json === true }
    })
  const exit = await readFlags(command, args, terminal)
  return asked === undefined ? { exit: exit ?? EXIT.ok } : { asked }
}
