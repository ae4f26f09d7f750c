/** `npm run bench:tcp`: requests a second over Modbus TCP, as a share of what a bare socket does with the same bytes. */
import { connect, type Socket } from 'node:net'
import { type Contestant, figureOf, race, type Sample, type Timed } from './measure.ts'
import { openTcp, STACKS } from './peers.ts'
import { type BenchOptions, type Row, rateRow, runBench } from './report.ts'
import { startSlave } from './slave-process.ts'
import { ANSWER_BYTES, REGISTERS, REQUEST } from './tcp-frames.ts'

const DEPTHS = [1, 16] as const
/** The design's shares in percent. */
const ASKED = { 1: 80, 16: 90 } as const
/** Requests of one step, after each of which the clock is looked at. */
const STEP = 400

async function openRaw(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return socket
}

/** Requests and answers of the right size and nothing more: a write each, `depth` under way. */
const rawSteps = (socket: Socket, depth: number): Promise<number> =>
  new Promise(resolve => {
    let sent = depth
    let bytes = 0
    const hear = (chunk: Buffer) => {
      bytes += chunk.length
      const answered = Math.floor(bytes / ANSWER_BYTES)
      for (; sent < STEP && sent - answered < depth; sent++) socket.write(REQUEST)
      if (answered < STEP) return
      socket.off('data', hear)
      resolve(STEP)
    }
    socket.on('data', hear)
    for (let i = 0; i < depth; i++) socket.write(REQUEST)
  })

/** Of each round by itself, the middle one: a neighbour's load falls on both of a round. */
function shareOf(reached: Timed, raw: Timed): number {
  const rate = ({ count, wallSeconds }: Sample) => count / wallSeconds
  return figureOf(reached.samples.map((sample, i) => rate(sample) / rate(raw.samples[i]!))).median
}

async function bench({ quick, smoke }: BenchOptions): Promise<readonly Row[]> {
  const server = await startSlave<number>('tcp', {})
  const closing: (() => unknown)[] = [() => server.close()]
  try {
    const contestants: Contestant[] = []
    for (const depth of DEPTHS) {
      const socket = await openRaw(server.told)
      closing.push(() => socket.destroy())
      contestants.push({ name: `raw.${depth}`, clock: 'wall', run: () => rawSteps(socket, depth) })
      for (const stack of STACKS) {
        const reader = await openTcp(stack, server.told, depth)
        closing.push(() => reader.close())
        const each = async (): Promise<void> => {
          for (let i = 0; i < STEP / depth; i++) {
            const bytes = await reader.read(1, 'input', 0, REGISTERS)
            if (bytes?.length !== 2 * REGISTERS) throw new Error(`${stack} lost an answer at depth ${depth}`)
          }
        }
        const run = async () => {
          await Promise.all(Array.from({ length: depth }, each))
          return STEP
        }
        contestants.push({ name: `${stack}.${depth}`, clock: 'wall', run })
      }
    }
    const effort = smoke
      ? { rounds: 1, sampleMs: 10 }
      : quick
        ? { rounds: 15, sampleMs: 80 }
        : { rounds: 41, sampleMs: 200 }
    const timed = await race(contestants, effort)
    return DEPTHS.flatMap(depth => {
      const raw = timed.get(`raw.${depth}`)!
      const floor = { id: `raw.${depth}`, what: `a bare socket at depth ${depth}`, unit: 'req/s', note: 'wall' }
      return [
        rateRow(floor, raw),
        ...STACKS.map(stack => {
          const reached = timed.get(`${stack}.${depth}`)!
          const share = shareOf(reached, raw)
          return rateRow(
            {
              id: `${stack}.${depth}`,
              what: `${stack}: ${REGISTERS} registers at depth ${depth}`,
              unit: 'req/s',
              note: 'wall',
              floor: { what: 'bare socket', value: raw.median, unit: 'req/s', share },
              ...(stack === 'tieline' ? { asked: `${ASKED[depth]} %` } : {}),
            },
            reached,
          )
        }),
      ]
    })
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

await runBench('bench:tcp', 'Modbus TCP against a server in a process of its own that does nothing but answer.', bench)
