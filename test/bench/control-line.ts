/** What stands behind the two lines of bench:control: line meters and a coil board whose contacts feed them, each on a pseudo-terminal. */
import { createSystemTime } from '../../drivers/clock.ts'
import { openPty, type Pty } from '../../drivers/line/pty.ts'
import type { Position } from '../../drivers/ports.ts'
import { createCoilBoard } from '../../hw/sim/coil-board.ts'
import { sdm120Bank } from '../../hw/sim/eastron-image.ts'
import { createUnit, serveModbus } from '../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { must } from '../../protocol/result.ts'

export const LINES = 3
export const BOARD_UNIT = 20
export const BAUD = 9_600
/** What a line carries while its contact is closed, and what it carries when something is wrong with it. */
const SOUND_MA = 10_000
const EXCESS_MA = 40_000
/** A slave's pause before it answers; Modbus leaves it open, meters take 10 to 40 ms. */
const TURNAROUND_MS = 15

export interface BenchWires {
  /** Devices to open: the meters' line, the board's line. */
  readonly paths: readonly [meters: string, board: string]
  position(line: number): Position
  /** Resolves with the time of `performance.now` at which the contact has moved there, at once where it is there. */
  moved(line: number, to: Position): Promise<number>
  /** More current than the line may carry, from now on or no longer. */
  overload(line: number, on: boolean): void
  close(): Promise<void>
}

export async function openWires(): Promise<BenchWires> {
  const { clock, timers } = createSystemTime()
  const overloaded = new Set<number>()
  const waiting: { readonly line: number; readonly to: Position; tell(at: number): void }[] = []
  const board = createCoilBoard({
    channels: LINES,
    clock,
    timers,
    moved: (line, to) => {
      const at = performance.now()
      for (const one of waiting.filter(other => other.line === line && other.to === to)) {
        waiting.splice(waiting.indexOf(one), 1)
        one.tell(at)
      }
    },
  })
  const measure = (line: number) => () => {
    const live = board.position(line) === 'closed'
    const currentMa = live ? (overloaded.has(line) ? EXCESS_MA : SOUND_MA) : 0
    const voltageMv = live ? 230_000 : 0
    const phase = { voltageMv, currentMa, powerMw: -Math.round((voltageMv * currentMa) / 1000) }
    return {
      ...{ ...phase, phases: [phase, phase, phase] as const, frequencyMhz: 50_000 },
      ...{ imported: 1_000_000n, exported: 2_000_000n },
    }
  }
  const meters = new Map(
    Array.from({ length: LINES }, (_, line) => [
      line + 1,
      createUnit(sdm120Bank({ serial: 41_000_101 + line, measure: measure(line) })),
    ]),
  )
  const wire = { framing: 'rtu', characterMs: 10_000 / BAUD, turnaroundMs: TURNAROUND_MS } as const
  const serve = (pty: Pty, units: Parameters<typeof serveModbus>[1]) =>
    serveModbus(pty, units, { ...wire, clock, timers, random: seededRandom(1) })
  const [metersPty, boardPty] = [must(await openPty()), must(await openPty())]
  const stops = [serve(metersPty, meters), serve(boardPty, new Map([[BOARD_UNIT, board.unit]]))]
  return {
    paths: [metersPty.path, boardPty.path],
    position: board.position,
    moved: (line, to) =>
      board.position(line) === to
        ? Promise.resolve(performance.now())
        : new Promise(tell => waiting.push({ line, to, tell })),
    overload: (line, on) => void (on ? overloaded.add(line) : overloaded.delete(line)),
    async close() {
      for (const stop of stops) stop()
      await metersPty.close()
      await boardPty.close()
    },
  }
}
