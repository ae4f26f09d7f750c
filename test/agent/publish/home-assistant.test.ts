/** What Home Assistant is told, judged by Home Assistant's own code (Apache-2.0), which .ci/run fetches and nobody here holds. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { discoveryOf } from '../../../agent/publish/home-assistant.ts'
import { REGISTER_NAMES } from '../../../agent/publish/registers.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('Home Assistant’s discovery')

/** The newest whose validation library Debian packages. */
const WHEEL = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'tieline/homeassistant-2026.2.3-py3-none-any.whl',
)
const PYTHON = '/usr/bin/python3'
const JUDGE = fileURLToPath(new URL('./home-assistant-judge.py', import.meta.url))
const without =
  existsSync(WHEEL) && spawnSync(PYTHON, ['-c', 'import voluptuous, jinja2, yaml']).status === 0
    ? undefined
    : 'no-home-assistant'

interface Entity {
  readonly platform: string
  readonly states: readonly string[]
  readonly attributes?: readonly string[]
  readonly available?: readonly string[]
}

interface Verdict {
  readonly refused?: string
  readonly entities?: Record<string, Entity>
}

function judged(messages: readonly object[], states: readonly object[] = []): readonly Verdict[] {
  const input = JSON.stringify({
    messages: messages.map(one => JSON.stringify(one)),
    states: states.map(one => JSON.stringify(one)),
  })
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-B', JUDGE, WHEEL], { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const message = () =>
  discoveryOf({
    ...{ device: 'tieline_x', site: 'x', version: '1', contacts: ['L1.line'], account: true },
    chargers: [
      { name: 'box', counts: true },
      { name: 'post', counts: false },
    ],
    meters: new Map([
      ['grid', REGISTER_NAMES],
      ['a-b', REGISTER_NAMES],
      ['a_b', REGISTER_NAMES],
    ]),
    ...{ stateTopic: 'tieline/tieline_x/state', availabilityTopic: 'tieline/tieline_x/availability', expireS: 60 },
  })

test.skipIf(without, 'is taken whole, and each template reads its own value, or none where there is none', () => {
  const meters = Object.fromEntries(
    ['grid', 'a_2d_b', 'a_b', 'a-b'].map((meter, m) => [
      meter,
      Object.fromEntries(REGISTER_NAMES.map(({ id }, n) => [id, 100 * m + n])),
    ]),
  )
  const none = Object.fromEntries(Object.keys(meters).map(meter => [meter, {}]))
  const contacts = { L1_line: { commanded: 'closed', seen: 'closed', because: ["a neighbour's <reason>"] } }
  const box = { limit: 16, current: 15.8, state: 'charging', power: 3600, session_energy: 4200.5 }
  const full = { meters, contacts, chargers: { box, post: {} }, balance: 12.5, problems: [] }
  const problems = [
    { name: 'meter.a_b.unreadable', what: 'it is silent', meter: 'a_b' },
    { name: 'charger.box', what: 'it is mute', charger: 'box' },
    { name: 'journal', what: 'it is full' },
  ]
  const empty = { meters: none, contacts: {}, chargers: { box: {}, post: {} }, problems }
  const [verdict] = judged([message()], [full, empty, { ...full, contacts: { L1_line: { commanded: 'open' } } }])
  const entities = verdict!.entities!
  assert.is(Object.keys(entities).length, Object.keys(message().cmps).length, verdict!.refused)
  for (const [n, { id }] of REGISTER_NAMES.entries()) {
    assert.equal(entities[`grid_${id}`]!.states, [String(n), 'None', String(n)])
    assert.equal(entities[`grid_${id}`]!.available, ['online', 'offline', 'online'])
  }
  const contact = entities['contact_L1_line']!
  assert.equal([contact.platform, ...contact.states], ['binary_sensor', 'ON', 'None', 'None'])
  assert.equal(
    contact.attributes!.map(text => JSON.parse(text)),
    [{ because: ["a neighbour's <reason>"] }, { because: [] }, { because: [] }],
  )
  const charger = ['limit', 'current', 'state', 'power', 'session'].map(part => entities[`charger_box_${part}`]!.states)
  assert.equal(
    charger.map(([first]) => first),
    ['16', '15.8', 'charging', '3600', '4200.5'],
  )
  assert.ok(charger.every(([, second]) => second === 'None'))
  assert.is(entities['charger_post_limit']!.states[0], 'None')
  assert.not('charger_post_power' in entities)
  assert.equal(entities['balance']!.states, ['12.5', 'None', '12.5'])
  const about = (id: string) => [...entities[id]!.states.slice(0, 2), JSON.parse(entities[id]!.attributes![1]!).because]
  assert.equal(about('problem'), ['OFF', 'ON', problems.map(({ what }) => what)])
  assert.equal(about('a_b_problem'), ['OFF', 'ON', ['it is silent']])
  assert.equal(about('charger_box_problem'), ['OFF', 'ON', ['it is mute']])
  assert.equal(about('grid_problem'), ['OFF', 'OFF', []])
  assert.is(entities['problem']!.available, undefined)
})

test.skipIf(without, 'is refused where a part of it is wrong: the judge can say no', () => {
  const sensor = 'grid_energy_import'
  type Loose = Record<string, Record<string, Record<string, unknown>>>
  const wrong: readonly (readonly [string, (it: Loose) => unknown])[] = [
    ['no origin', it => Reflect.deleteProperty(it, 'o')],
    ['no device', it => Reflect.deleteProperty(it, 'dev')],
    ['no components', it => Reflect.deleteProperty(it, 'cmps')],
    ['no identifier', it => Reflect.deleteProperty(it['dev']!, 'ids')],
    ['no platform', it => Reflect.deleteProperty(it['cmps']![sensor]!, 'p')],
    ['no unique id', it => Reflect.deleteProperty(it['cmps']![sensor]!, 'unique_id')],
    ['no availability', it => Reflect.deleteProperty(it, 'availability')],
    ['a unit of another quantity', it => Object.assign(it['cmps']![sensor]!, { unit_of_measurement: 'kW' })],
    ['a device class that is none', it => Object.assign(it['cmps']![sensor]!, { device_class: 'joy' })],
    ['a state class of another class', it => Object.assign(it['cmps']![sensor]!, { state_class: 'measurement' })],
    ['a template that is none', it => Object.assign(it['cmps']![sensor]!, { value_template: '{{ value_json.x' })],
    ['a topic with a wildcard inside', it => Object.assign(it, { state_topic: 'tieline/#/state' })],
    ['a key that is none', it => Object.assign(it['cmps']![sensor]!, { expires_after: 60 })],
    ['an age below 0', it => Object.assign(it['cmps']![sensor]!, { expire_after: -1 })],
    ['the same unique id twice', it => Object.assign(it['cmps']![sensor]!, { unique_id: 'tieline_x_grid_power' })],
    ['a switch', it => Object.assign(it['cmps']![sensor]!, { p: 'switch', command_topic: 'x' })],
  ]
  const changed = wrong.map(([, change]) => {
    const it = structuredClone(message()) as unknown as Loose
    change(it)
    return it
  })
  for (const [i, { refused }] of judged([message(), ...changed]).entries()) {
    assert.is(refused === undefined, i === 0, i === 0 ? refused : wrong[i - 1]![0])
  }
})

test.run()
