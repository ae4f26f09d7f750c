import { drainPromises } from '../../../drivers/drain.ts'
import { type CapturedChunk, encodeChunk, encodeHeader, parseCapture } from '../../../drivers/line/capture.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { playCapture } from '../../../hw/sim/player.ts'
import { recordLine } from '../../../hw/sim/recorder.ts'
import { hex, toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('capture')

const HEADER = { line: '/dev/ttyUSB0', baud: 9600, format: '8N1', started: '2026-11-23T02:42:50.000Z' }

const captures = fc.array(
  fc.record(
    {
      t: fc.double({ min: 0, max: 1e9, noNaN: true }).map(t => t + 0),
      dir: fc.constantFrom('rx' as const, 'tx' as const),
      bytes: fc.uint8Array({ maxLength: 40 }).map(bytes => Uint8Array.from(bytes)),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 8 },
)

const textOf = (chunks: readonly CapturedChunk[]): string => encodeHeader(HEADER) + chunks.map(encodeChunk).join('')

test('the text is as its description says', () => {
  assert.is(
    textOf([
      { t: 0, dir: 'tx', bytes: hex('0104') },
      { t: 31.25, dir: 'rx', bytes: hex('ff00') },
    ]),
    '{"tieline":"capture","version":1,"line":"/dev/ttyUSB0","baud":9600,"format":"8N1","started":"2026-11-23T02:42:50.000Z"}\n' +
      '{"t":0,"dir":"tx","hex":"0104"}\n{"t":31.25,"dir":"rx","hex":"ff00"}\n',
  )
})

test('what is written is read back the same', () => {
  assertProperty(
    fc.property(captures, chunks => {
      assert.equal(must(parseCapture(textOf(chunks))), { header: HEADER, chunks, faults: [] })
    }),
  )
})

test('cut at any byte it gives every whole line, and one fault where a line was torn', () => {
  const chunks: CapturedChunk[] = [
    { t: 0, dir: 'tx', bytes: hex('0104 0000') },
    { t: 1.5, dir: 'rx', bytes: hex('01') },
    { t: 20, dir: 'rx', bytes: hex('') },
  ]
  const text = textOf(chunks)
  const first = text.indexOf('\n')
  for (let cut = 0; cut <= text.length; cut++) {
    const parsed = parseCapture(text.slice(0, cut))
    if (cut < first) {
      assert.is(!parsed.ok && parsed.fault.code, 'capture.header', `at ${cut}`)
      continue
    }
    const { chunks: whole, faults } = must(parsed)
    const lines = text.slice(0, cut).split('\n').slice(1)
    // A line that lost only its end is whole.
    const torn = lines.at(-1) !== undefined && lines.at(-1) !== '' && !lines.at(-1)!.endsWith('}')
    assert.equal(whole, chunks.slice(0, lines.filter(line => line.endsWith('}')).length), `at ${cut}`)
    assert.equal(faults, torn ? [{ code: 'capture.cut', line: lines.length + 1 }] : [], `at ${cut}`)
  }
})

test('a line that holds no chunk is named and passed over; a file of something else is refused', () => {
  const good = '{"t":1,"dir":"rx","hex":"00"}'
  for (const bad of [
    'x',
    '[]',
    'null',
    '{"t":-1,"dir":"rx","hex":""}',
    '{"t":1,"dir":"up","hex":""}',
    '{"t":1,"dir":"rx","hex":"0"}',
  ]) {
    const { chunks, faults } = must(parseCapture(`${encodeHeader(HEADER)}${good}\n${bad}\n\n${good}\n`))
    assert.is(chunks.length, 2, bad)
    assert.equal(faults, [{ code: 'capture.line', line: 3 }], bad)
  }
  for (const text of ['', '{}', 'not a capture', '{"tieline":"capture","version":1}', '/ISk5\n'])
    assert.is(faultOf(text), 'capture.header', text)
  assert.is(faultOf(encodeHeader(HEADER).replace('1', '2')), 'capture.version')
})

const faultOf = (text: string): string | undefined => {
  const parsed = parseCapture(text)
  return parsed.ok ? undefined : parsed.fault.code
}

test('recorded through a line and played again, the same bytes come in the same time, or twice as fast', async () => {
  const time = createSimTime(1_700_000_000_000, drainPromises)
  const { clock, timers } = time
  const { port, device } = createMemoryLine({ name: 'bus', characterMs: 1, clock, timers })
  let text = ''
  const recorded = recordLine(port, {
    baud: 10_000,
    format: '8N1',
    clock,
    write: line => {
      text += line
    },
  })
  const through: string[] = []
  const listener = { bytes: (chunk: Uint8Array) => void through.push(toHex(chunk)), down: () => {} }
  await recorded.line.open(listener)
  void recorded.line.write(hex('aa'))
  device.write(hex('0102'))
  await time.advance(50)
  device.write(hex('03'))
  await time.advance(50)
  await recorded.line.close()
  assert.equal(through, ['0102', '03'])
  assert.equal(recorded.counts, { chunks: 3, bytes: 4 })
  const { header, chunks, faults } = must(parseCapture(text))
  assert.equal(header, { line: 'bus', baud: 10_000, format: '8N1', started: '2023-11-14T22:13:20.000Z' })
  assert.equal(faults, [])
  assert.equal(
    chunks.map(({ t, dir, bytes }) => [t, dir, toHex(bytes)]),
    [
      [0, 'tx', 'aa'],
      [2, 'rx', '0102'],
      [51, 'rx', '03'],
    ],
  )
  for (const speed of [1, 2]) {
    const began = clock.mono()
    const played: [number, string][] = []
    const player = playCapture(
      chunks,
      { write: bytes => void played.push([clock.mono() - began, toHex(bytes)]) },
      speed,
      time,
    )
    await time.advance(100)
    await player.ended
    const half = speed === 1 ? [2, 51] : [1, 25]
    assert.equal(played, [
      [half[0], '0102'],
      [half[1], '03'],
    ])
  }
  const stopped = playCapture(chunks, { write: () => assert.unreachable() }, 1, time)
  stopped.stop()
  await stopped.ended
  await time.advance(100)
})

test.run()
