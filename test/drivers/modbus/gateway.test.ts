/**
 * Modbus TCP to a gateway with a serial line behind it, as the cheap ones are: one request at a time, and what comes on the
 * line from the unit that was asked is the answer, whatever it once was the answer to. Its TCP number is then right.
 */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { concat } from '../../../protocol/bytes.ts'
import { decodeTcpRequest, encodeTcp, type TcpRequest } from '../../../protocol/modbus/frame.ts'
import { encodeAnswer, encodeException } from '../../../protocol/modbus/slave.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('modbus tcp, behind a gateway')

/** From a request's first character to its answer's last, of a slave that is well. */
const SLAVE_MS = 40
const PATH_FAILED = 10
const TARGET_FAILED = 11
const IDENTITY = { address: 0x100, count: 12 }

interface Gateway {
  /** It waits so long for a slave, and then says exception 11 or nothing. */
  readonly waitMs: number
  readonly says: number | undefined
  /** How long a slave takes for one answer; undefined: it gives none. */
  readonly takesMs: (unit: number) => number | undefined
}

function behindGateway({ waitMs, says, takesMs }: Gateway, depth: number, lateAnswerDefence = true) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'gateway', characterMs: 0, clock, timers })
  const waiting: TcpRequest[] = []
  let now: { readonly asked: TcpRequest; readonly answer: (pdu: Uint8Array) => void } | undefined

  function next(): void {
    const asked = now === undefined ? waiting.shift() : undefined
    if (asked === undefined) return
    const end = (pdu?: Uint8Array) => {
      cancel()
      now = undefined
      if (pdu !== undefined) wire.device.write(encodeTcp(asked.transaction, asked.unit, pdu))
      next()
    }
    const cancel = timers.after(waitMs, () =>
      end(says === undefined ? undefined : encodeException(asked.request.fn, says)),
    )
    now = { asked, answer: end }
    const ms = takesMs(asked.unit)
    if (ms === undefined) return
    timers.after(ms, () => {
      const { request } = asked
      if (request.fn !== 3 && request.fn !== 4) throw new Error('only registers are read here')
      const sampledAt = Math.floor(clock.mono()) - SLAVE_MS / 2 - (ms - SLAVE_MS)
      const bytes = Uint8Array.from({ length: 2 * request.count }, (_, i) =>
        request.fn === 3 ? 0x77 : (sampledAt >> (i % 2 === 0 ? 8 : 0)) & 0xff,
      )
      const heard = now?.asked
      if (heard?.unit === asked.unit && heard.request.fn === request.fn)
        now!.answer(encodeAnswer(request, { kind: 'registers', bytes }))
    })
  }

  let buffer: Uint8Array = new Uint8Array(0)
  wire.device.onBytes(chunk => {
    buffer = concat(buffer, chunk)
    for (;;) {
      const pull = decodeTcpRequest(buffer)
      if (pull.kind !== 'frame') break
      buffer = buffer.subarray(pull.used)
      waiting.push(pull.value)
    }
    next()
  })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'tcp', depth, lateAnswerDefence })
  return { clock, timers, advance, master }
}

async function tryLate(says: number | undefined, depth: number, lateAnswerDefence: boolean, seed = 11) {
  const random = seededRandom(seed)
  const takesMs = () => (random() < 0.05 ? 200 + 800 * random() : SLAVE_MS)
  const bus = behindGateway({ waitMs: 150, says, takesMs }, depth, lateAnswerDefence)
  const { master, clock, timers } = bus
  const outcome = { right: 0, wrong: 0, absent: 0 }
  must(await master.open())
  async function poll(reads: number): Promise<void> {
    for (let i = 0; i < reads; i++) {
      if (lateAnswerDefence && master.health().slaves[0]?.tainted)
        await master.readRegisters(1, 'holding', IDENTITY.address, IDENTITY.count, { canary: 'alone' })
      const lengths = [2, 4, 6, 8, 10].filter(count => !master.isQuarantined(1, 'input', count))
      const asked = clock.mono()
      const block = await master.readRegisters(1, 'input', 0, lengths[i % Math.max(1, lengths.length)] ?? 2)
      if (!block.ok) {
        outcome.absent++
        await timers.sleep(50)
        continue
      }
      const sampledAt = (block.value.bytes[0]! << 8) | block.value.bytes[1]!
      const age = (sampledAt - Math.floor(asked)) & 0xffff
      outcome[age < 0x8000 ? 'right' : 'wrong']++
    }
  }
  let running = true
  void Promise.all(Array.from({ length: depth }, () => poll(2_000 / depth))).then(() => {
    running = false
  })
  while (running) await bus.advance(1_000)
  await master.close()
  return outcome
}

for (const [name, says] of [
  ['says that its target failed', TARGET_FAILED],
  ['says nothing', undefined],
] as const)
  test(`a gateway that gives the late answer to the next request and ${name} gives no wrong value`, async () => {
    for (const depth of [1, 4]) {
      const on = await tryLate(says, depth, true)
      const off = await tryLate(says, depth, false)
      console.log(`${name}, depth ${depth}: ${JSON.stringify(on)}, with the defence off ${JSON.stringify(off)}`)
      assert.is(on.wrong, 0)
      assert.ok(on.right > 100 && off.wrong > 0)
    }
  }, 30_000)

for (const [says, waitMs] of [
  [TARGET_FAILED, 1_000],
  [TARGET_FAILED, 300],
  [PATH_FAILED, 500],
] as const)
  test(`a dead unit of five that the gateway waits ${waitMs} ms for leaves the others nine tenths of their rate`, async () => {
    const rate = async (units: readonly number[]) => {
      const takesMs = (unit: number) => (unit === 3 ? undefined : SLAVE_MS)
      const { master, timers, advance } = behindGateway({ waitMs, says, takesMs }, 1)
      must(await master.open())
      let answered = 0
      let running = true
      const poll = async (unit: number) => {
        while (running) {
          const result = await master.readRegisters(unit, 'input', 0, 10)
          if (result.ok) answered++
          else await timers.sleep(20)
        }
      }
      for (const unit of units) void poll(unit)
      await advance(120_000)
      running = false
      await master.close()
      return answered
    }
    const [four, five] = [await rate([1, 2, 4, 5]), await rate([1, 2, 3, 4, 5])]
    console.log(`gateway that waits ${waitMs} ms: ${((100 * five) / four).toFixed(1)} %`)
    assert.ok(five >= 0.9 * four, `${five} of ${four}`)
  })

test.run()
