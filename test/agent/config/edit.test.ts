/** Edits of a configuration's text: only the lines that are meant change. */
import { type Edit, editConfig } from '../../../agent/config/edit.ts'
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { readYaml } from '../../../agent/config/yaml.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { COMMENTED } from './commented-site.ts'

const edited = (text: string, ...edits: readonly Edit[]): string => {
  const result = editConfig(text, edits, 'site.yaml')
  assert.ok(result.ok, result.ok ? '' : result.faults.map(configLine).join('\n'))
  return result.ok ? result.value : ''
}
const refused = (text: string, ...edits: readonly Edit[]): string => {
  const result = editConfig(text, edits, 'site.yaml')
  return result.ok ? 'taken' : result.faults.map(configLine).join('\n')
}

/** Lines of one text that the other has not, in their order. */
function changes(
  before: string,
  after: string,
): { readonly gone: readonly string[]; readonly come: readonly string[] } {
  const [old, now] = [before.split('\n'), after.split('\n')]
  let [head, tail] = [0, 0]
  while (head < Math.min(old.length, now.length) && old[head] === now[head]) head++
  while (tail < Math.min(old.length, now.length) - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++
  return { gone: old.slice(head, old.length - tail), come: now.slice(head, now.length - tail) }
}

const test = suite('config edits')

test('a value is written over on its own line, and the comment behind it stays', () => {
  assert.equal(changes(COMMENTED, edited(COMMENTED, { path: ['trade', 'slot'], value: '60s' })), {
    gone: ['  slot: 30s # as long as a deal lasts'],
    come: ['  slot: 60s # as long as a deal lasts'],
  })
})

test('a value between braces, in a list and in quotes is found and stays what it was', () => {
  const flow = edited(COMMENTED, { path: ['meters', 'L1', 'unit'], value: '7' })
  assert.match(
    flow,
    'L1: {line: rs485, protocol: modbus-rtu, page: eastron-sdm120, unit: 7, every: 500ms, id: "0012345"}',
  )
  assert.match(edited(COMMENTED, { path: ['direct_lines', 0, 'limit'], value: '10A' }), '\n    limit: 10A # the fuse\n')
  assert.match(edited(COMMENTED, { path: ['meters', 'L1', 'id'], value: '998' }), 'id: "998"}')
  assert.match(edited(COMMENTED, { path: ['brokers', 0], value: 'mqtts://b.example:8883' }), '[mqtts://b.example:8883]')
})

test('what is not there yet is added behind its neighbours, with the groups that it needs', () => {
  assert.equal(changes(COMMENTED, edited(COMMENTED, { path: ['trade', 'pause'], value: '5min' })), {
    gone: [],
    come: ['  pause: 5min'],
  })
  assert.equal(changes(COMMENTED, edited(COMMENTED, { path: ['mqtt', 'every'], value: '5s' })), {
    gone: [],
    come: ['mqtt:', '  every: 5s'],
  })
  assert.match(
    edited(COMMENTED, { path: ['safety', 'voltage_max'], value: '253V' }),
    'safety: {voltage_min: 207V, voltage_max: 253V}',
  )
  const two = edited(COMMENTED, { path: ['brokers', 1], value: 'mqtt://127.0.0.2:1883' })
  assert.match(two, 'brokers: [mqtt://127.0.0.1:1883, mqtt://127.0.0.2:1883]')
  const meter: readonly Edit[] = Object.entries({
    line: 'rs485',
    protocol: 'modbus-rtu',
    page: 'eastron-sdm630',
    unit: '9',
  }).map(([key, value]) => ({ path: ['meters', 'solar', key], value }))
  // One alone is no meter: all of them or none.
  assert.match(refused(COMMENTED, meter[0]!), /meters\.solar\.protocol|"protocol"/)
  const whole = edited(COMMENTED, ...meter)
  assert.equal(changes(COMMENTED, whole).come, [
    '  solar:',
    ...['    line: rs485', '    protocol: modbus-rtu', '    page: eastron-sdm630', '    unit: 9'],
  ])
})

test('what is taken out goes with its line, and with the group that would be empty', () => {
  assert.equal(changes(COMMENTED, edited(COMMENTED, { path: ['page', 'listen'], value: null })), {
    gone: ['page:', '  listen: 127.0.0.1:8480'],
    come: [],
  })
  assert.match(edited(COMMENTED, { path: ['meters', 'L1', 'every'], value: null }), 'unit: 2, id: "0012345"}')
  assert.match(edited(COMMENTED, { path: ['meters', 'L1', 'id'], value: null }), 'every: 500ms}')
  assert.is(edited(COMMENTED, { path: ['rest', 'look'], value: null }), COMMENTED)
})

test('a result that would not load is refused with its place, whole', () => {
  assert.match(
    refused(COMMENTED, { path: ['trade', 'slot'], value: '60s' }, { path: ['trade', 'energy'], value: 'much' }),
    /^site\.yaml:\d+:11: trade\.energy must be an energy above 0, as in 2kWh or 500Wh, not "much"$/,
  )
  assert.match(
    refused(COMMENTED, { path: ['trade', 'slots'], value: '60s' }),
    /unknown key "slots" \(did you mean "slot"\?\)/,
  )
  assert.match(refused(COMMENTED, { path: ['site'], value: null }), /"site" is missing/)
  assert.match(refused(COMMENTED, { path: ['keys'], value: 'x' }), /keys is a group of settings/)
  assert.match(refused(COMMENTED, { path: ['site', 'name'], value: 'x' }), /site is one value/)
  assert.match(refused(COMMENTED, { path: ['brokers', 5], value: 'mqtt://a:1' }), /is not the next of its list/)
  assert.match(refused(COMMENTED, { path: [], value: 'x' }), /names no setting/)
  assert.match(refused(`${COMMENTED}  : [`, { path: ['site'], value: 'x' }), /^site\.yaml:\d+:\d+: /)
})

test('line breaks of another system and a mark of the byte order stay', () => {
  const dos = `\ufeff${COMMENTED.replaceAll('\n', '\r\n')}`
  const after = edited(dos, { path: ['trade', 'pause'], value: '5min' }, { path: ['site'], value: 'oak' })
  assert.is(after.replaceAll('\r\n', '').includes('\n'), false)
  assert.is(after.startsWith('\ufeff#'), true)
  assert.match(after, '\r\n  pause: 5min\r\n')
})

/** Settings of the commented site that may take many values, and how the line that holds them is told from others. */
const TARGETS: readonly { readonly path: Edit['path']; readonly marks: string; readonly values: readonly string[] }[] =
  [
    { path: ['trade', 'slot'], marks: 'slot:', values: ['1s', '15min', '1 d', '2.5h'] },
    { path: ['trade', 'sell', 'opening'], marks: 'opening:', values: ['0.3', '1', '0.240001'] },
    { path: ['meters', 'grid', 'every'], marks: 'every: 2s', values: ['1s', '100ms', '15 min'] },
    {
      path: ['meters', 'L1', 'id'],
      marks: 'sdm120',
      values: ['a#b', '{x}', "it's", '"', '007', '&a', '*b', 'a:b', '-', '!'],
    },
    {
      path: ['data'],
      marks: 'data:',
      values: ['/a b/c', '/x: y', '# none', ' lead', 'trail ', 'ünï', '- a', '|'],
    },
    {
      path: ['direct_lines', 0, 'circuit', 'name'],
      marks: 'heat pump',
      values: ['x, y', '[z]', 'null', 'a # b', '%', '@at', 'a\nb', '\ttab'],
    },
  ]

test('whatever is written, what is read is that, and no other line is another', () => {
  let quotedOnes = 0
  assertCovering(
    fc.property(
      fc.uniqueArray(
        fc
          .constantFrom(...TARGETS)
          .chain(({ path, marks, values }) =>
            fc.record({ path: fc.constant(path), marks: fc.constant(marks), value: fc.constantFrom(...values) }),
          ),
        { minLength: 1, maxLength: 4, selector: ({ marks }) => marks },
      ),
      edits => {
        const after = edited(COMMENTED, ...edits)
        const [before, now] = [COMMENTED.split('\n'), after.split('\n')]
        assert.is(now.length, before.length)
        for (const [n, line] of before.entries()) {
          if (!edits.some(({ marks }) => line.includes(marks))) assert.is(now[n], line)
          // The comment behind a value is the person's.
          const comment = / #.*$/.exec(line)?.[0] ?? ''
          assert.ok(now[n]!.endsWith(comment), now[n])
        }
        const value = readYaml(after).yaml!.value
        for (const edit of edits) {
          const read = edit.path.reduce(
            (at, key) => (at as unknown as Record<string | number, typeof value>)[key]!,
            value,
          )
          assert.is(read, edit.value)
          if (now.some(line => line.includes(JSON.stringify(edit.value)))) quotedOnes++
        }
        assert.ok(loadConfig(after, 'site.yaml').ok)
      },
    ),
    60,
  )
  assert.ok(quotedOnes > 10, `${quotedOnes} needed quotes`)
})

test('written and taken out again is what it was', () => {
  for (const path of [
    ['trade', 'pause'],
    ['mqtt', 'every'],
    ['safety', 'voltage_max'],
  ] as const) {
    const value = path[1] === 'voltage_max' ? '253V' : '10s'
    assert.is(edited(edited(COMMENTED, { path, value }), { path, value: null }), COMMENTED)
  }
})

test.run()
