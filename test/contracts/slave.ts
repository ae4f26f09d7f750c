/** What the simulated slave must do on every line: the one in memory, in simulated time, and a real serial device. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Clock, Line, Timers } from '../../drivers/ports.ts'
import {
  createSlaveStats,
  createUnit,
  type LineFaults,
  type ModbusSlaveOptions,
  type SlaveStats,
  serveModbus,
} from '../../hw/sim/modbus-slave.ts'
import { concat, hex, toHex, utf8 } from '../../protocol/bytes.ts'
import { crc16 } from '../../protocol/modbus/crc.ts'
import { decodeAscii, encodeAscii } from '../../protocol/modbus/frame.ts'
import { must } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface SlaveLine {
  /** The gateway's end; nobody has opened it. */
  readonly line: Line
  readonly device: DeviceEnd
  readonly clock: Clock
  readonly timers: Timers
  /** Lets this many milliseconds pass. */
  pass(ms: number): Promise<void>
  /** How late bytes may be heard. */
  readonly slackMs: number
  end(): Promise<void>
}

/** 9,600 baud, 8N1. */
const CHARACTER_MS = 10 / 9.6
const TURNAROUND_MS = 5

/** Holding registers show their address, discrete inputs every third one on. */
const bank = () => ({
  registers: () => (_table: string, address: number) => (address < 0x200 ? address : undefined),
  writeRegister: (address: number) => address < 0x200,
  coil: (address: number) => address % 2 === 0,
  writeCoil: () => true,
  discreteInput: (address: number) => (address < 100 ? address % 3 === 0 : undefined),
  identification: new Map([
    [0, utf8('Maker')],
    [1, utf8('P1')],
    [2, utf8('v3')],
    [0x80, new Uint8Array(200).fill(0x61)],
    [0x81, new Uint8Array(200).fill(0x62)],
  ]),
})

const framed = (body: string): Uint8Array => {
  const bytes = hex(body)
  const crc = crc16(bytes)
  return concat(bytes, Uint8Array.of(crc, crc >> 8))
}

interface Bench extends SlaveLine {
  readonly stats: SlaveStats
  readonly faults: LineFaults
  readonly heard: { at: number; bytes: Uint8Array }[]
  /** What is heard within `ms` after these bytes were said. */
  ask(bytes: Uint8Array, ms?: number): Promise<Uint8Array>
}

export function slaveCases(t: Suite, name: string, make: () => Promise<SlaveLine>): void {
  const on = (title: string, options: Partial<ModbusSlaveOptions>, body: (bench: Bench) => Promise<void>) =>
    t(`${name}: ${title}`, async () => {
      const under = await make()
      const stats = createSlaveStats()
      const faults = options.line ?? { echo: false, secondMasterMs: 0 }
      const units = new Map([7, 8].map(unit => [unit, createUnit(bank())]))
      const { clock, timers } = under
      const stop = serveModbus(under.device, units, {
        framing: 'rtu',
        characterMs: CHARACTER_MS,
        sliceMs: 1,
        turnaroundMs: TURNAROUND_MS,
        random: () => 0.5,
        ...{ line: faults, stats, clock, timers },
        ...options,
      })
      const heard: Bench['heard'] = []
      must(
        await under.line.open({
          bytes: bytes => void heard.push({ at: clock.fine(), bytes: bytes.slice() }),
          down: () => {},
        }),
      )
      try {
        await body({
          ...under,
          stats,
          faults,
          heard,
          ask: async (bytes, ms = 250) => {
            heard.length = 0
            void under.line.write(bytes)
            await under.pass(ms)
            return concat(...heard.map(chunk => chunk.bytes))
          },
        })
      } finally {
        stop()
        await under.line.close()
        await under.end()
      }
    })

  on(
    'reads, writes, bits, exchange and identification are answered as the specification has them',
    {},
    async ({ ask }) => {
      const cases = [
        //id fn request                    answer
        ['07 03 0010 0002', '              07 03 04 0010 0011'],
        ['07 04 01ff 0001', '              07 04 02 01ff'],
        ['07 04 01ff 0002', '              07 84 02'],
        ['07 01 0000 0004', '              07 01 01 05'],
        ['07 02 0000 0009', '              07 02 02 49 00'],
        ['07 02 0063 0002', '              07 82 02'],
        ['07 06 0010 1234', '              07 06 0010 1234'],
        //        read      write        values
        ['07 17 0010 0002  0020 0001 02 0009', '07 17 04 0010 0011'],
        ['07 17 0010 0002  0200 0001 02 0009', '07 97 02'],
        //      stream of basic objects, all three in one answer
        ['07 2b 0e 01 00', '07 2b 0e 01 83 00 00 03  00 05 4d616b6572  01 02 5031  02 02 7633'],
        ['07 2b 0e 04 01', '07 2b 0e 04 83 00 00 01  01 02 5031'],
        ['07 2b 0e 04 05', '07 ab 02'],
        ['08 05 0001 ff00', '08 05 0001 ff00'],
      ] as const
      for (const [request, answer] of cases)
        assert.is(toHex(await ask(framed(request), 120)), toHex(framed(answer)), request)
      assert.is(toHex(await ask(framed('09 03 0010 0002'), 60)), '', 'of no unit here')
    },
  )

  on('objects that do not fit into one answer name the one to go on with', { characterMs: 0 }, async ({ ask }) => {
    //                                                       conformity more next count
    const first = toHex(await ask(framed('07 2b 0e 03 00'), 40))
    assert.match(first, /^072b0e0383ff810400054d616b6572/)
    const rest = await ask(framed('07 2b 0e 03 81'), 40)
    assert.is(toHex(rest.subarray(0, 12)), '072b0e038300000181c86262')
  })

  on('ASCII frames carry the same', { framing: 'ascii' }, async ({ ask }) => {
    const answer = await ask(utf8(':070300100002E4\r\n'))
    assert.is(String.fromCharCode(...answer), ':07030400100011D1\r\n')
    const pull = decodeAscii(await ask(encodeAscii(7, hex('04 01ff 0002'))))
    assert.is(pull.kind === 'frame' && toHex(pull.value.pdu), '8402')
  })

  on('an answer takes the time of its characters, after the request and the turnaround', {}, async bench => {
    const began = bench.clock.fine()
    const answer = await bench.ask(framed('07 03 0000 003c'), 1000)
    assert.is(answer.length, 125)
    const wire = (characters: number) => 8 * CHARACTER_MS + TURNAROUND_MS + characters * CHARACTER_MS
    let characters = 0
    for (const { at, bytes } of bench.heard) {
      characters += bytes.length
      const early = began + wire(characters) - at
      assert.ok(early <= 1e-6, `character ${characters} came ${early} ms too early`)
    }
    const late = bench.heard.at(-1)!.at - began - wire(125)
    assert.ok(late <= bench.slackMs, `the end came ${late} ms late`)
  })

  on(
    'silences before requests are measured, and those under 3.5 characters counted',
    {},
    async ({ ask, stats, line, pass, slackMs }) => {
      // 8 + 9 characters and the turnaround are 22.7 ms of the 150.
      for (let i = 0; i < 3; i++) await ask(framed('07 03 0010 0002'), 150)
      assert.equal([stats.requests, stats.answers, stats.silences, stats.breaches], [3, 3, 2, 0])
      assert.ok(stats.shortestMs > 127 - slackMs && stats.shortestMs < 128 + slackMs, `${stats.shortestMs} ms`)
      // While an answer of 130 ms is still under way.
      void line.write(framed('07 03 0000 003c'))
      await pass(40)
      await ask(framed('07 03 0010 0002'), 300)
      assert.equal([stats.silences, stats.breaches], [4, 1])
      assert.ok(stats.shortestMs < 0, `${stats.shortestMs} ms`)
    },
  )

  on(
    'an echo brings the request back before its answer',
    { line: { echo: true, secondMasterMs: 0 } },
    async ({ ask, stats }) => {
      const read = framed('07 03 0010 0001')
      assert.is(toHex(await ask(read, 60)), toHex(concat(read, framed('07 03 02 0010'))))
      assert.is(stats.injected, 1)
    },
  )

  on(
    'another master asks in the shape of our last read, and is answered',
    { line: { echo: false, secondMasterMs: 200 } },
    async ({ ask, pass, heard, stats }) => {
      assert.is(toHex(await ask(framed('07 03 0010 0001'), 100)), toHex(framed('07 03 02 0010')))
      heard.length = 0
      await pass(200)
      const strange = concat(...heard.map(chunk => chunk.bytes))
      assert.is(toHex(strange), toHex(concat(framed('07 03 0012 0001'), framed('07 03 02 0012'))))
      assert.equal([stats.requests, stats.injected], [1, 1])
    },
  )
}
