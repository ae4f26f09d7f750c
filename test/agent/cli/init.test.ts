import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Draft } from '../../../agent/cli/init/draft.ts'
import { optionsOf } from '../../../agent/cli/init/meter-questions.ts'
import type { Question, Refusal } from '../../../agent/cli/init/question.ts'
import { siteText } from '../../../agent/cli/init/site-text.ts'
import { siteWalk } from '../../../agent/cli/init/walk.ts'
import { tieline } from '../../../agent/cli/tieline.ts'
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { keepTerminal } from '../../terminal.ts'

const test = suite('init')
const HEX = 'ab'.repeat(32)

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-init-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function run(folder: string, answers: string, ...more: string[]) {
  writeFileSync(join(folder, 'answers.yaml'), answers)
  const kept = keepTerminal({ XDG_STATE_HOME: join(folder, 'state') })
  const args = ['init', '--config', join(folder, 'site.yaml'), '--answers', join(folder, 'answers.yaml'), ...more]
  const code = await tieline(args, kept.terminal, () => new Promise(() => {}))
  return { code, out: kept.out(), err: kept.err() }
}

/** Nothing listens there: refused at once. */
const METER = 'meter1.how: typed\nmeter1.page: eastron-sdm630\nmeter1.place: 127.0.0.1:9\n'

const LEDGER = `ledger.chain: street-1\nledger.height: 12\nledger.hash: ${HEX}\nledger.witnesses: http://127.0.0.1:26658\n`
const KEYS = (prefix: string) =>
  `${prefix}.peer_account: ${HEX}\n${prefix}.peer_sealing: ${HEX}\n${prefix}.peer_metering: ${HEX}\n`

/** What has to be answered, and what then stands in the file. */
const ROLES: Readonly<Record<string, readonly [answers: string, section: RegExp]>> = {
  household: [METER, /^meters:/m],
  charger: [`${METER}meter1.unit: 7\ncharger.controller: alfen\ncharger.place: 127.0.0.1:9\n`, /^chargers:/m],
  storage: [METER, /^# Still missing\. A store/m],
  generator: [`${METER}trade: yes\n${LEDGER}`, /^grid:\n(?:.*\n)* {2}sell: \{reserve: 0\.09, opening: 0\.20\}/m],
  distributor: [
    `${LEDGER}distribution.chain: grid-1\ndistribution.height: 1\ndistribution.hash: ${HEX}\ndistribution.witnesses: http://127.0.0.1:26759
wire1.name: substation\nwire1.capacity: 100kWh\nwire2.add: yes\nwire2.feeder: substation\nwire2.congestion: 0.05\n`,
    /^distributor:\n {2}lines:\n {4}substation: .*100kWh.*\n {4}feeder-2: \{feeder: substation, .*congestion: 0\.05\}/m,
  ],
  community: [
    `${METER}${LEDGER}grid.serial: "0815"\nmember1.add: yes\nmember1.name: oak\nmember1.serial: "0816"\n${KEYS('member1')}`,
    /^community:\n {2}group: elm\n {2}found: true\n {2}rule: mid-market\n.*\n {2}members: \{oak: 0816\}/m,
  ],
  regulator: [
    `${LEDGER}regulator.suspend: 0815, 0816\n`,
    /^regulator:\n {2}band: \{floor: 0\.01, ceiling: 0\.60\}\n {2}suspend: \[0815, 0816\]/m,
  ],
}

for (const [role, [answers, section]] of Object.entries(ROLES)) {
  test(`what a ${role} answers makes a file that check accepts, with what its role needs`, () =>
    inFolder(async folder => {
      const made = await run(folder, `role: ${role}\nsite: elm\n${answers}`)
      assert.is(made.code, 0, made.err)
      const file = join(folder, 'site.yaml')
      const checked = keepTerminal()
      assert.is(await tieline(['check', file], checked.terminal, async () => {}), 0, checked.err())
      assert.match(checked.out(), `site elm (${role})`)
      const text = readFileSync(file, 'utf8')
      assert.match(text, section)
      assert.is(/Still missing/.test(text), role === 'storage')
    }))
}

test('a site that keeps a market for others may put its ledger off, and is told what is missing', () =>
  inFolder(async folder => {
    for (const [role, says] of [
      ['distributor', 'A distributor works once'],
      ['community', 'A community works once'],
      ['regulator', 'A regulator works once'],
    ] as const) {
      const meter = role === 'community' ? METER : ''
      const made = await run(folder, `role: ${role}\nsite: elm\ntrade: no\noverwrite: yes\n${meter}`, '--json')
      assert.is(made.code, 0, made.err)
      assert.match(JSON.parse(made.out).unproven.join(), says)
    }
  }))

test('what a distributor, a community or a regulator answers wrongly is named', () =>
  inFolder(async folder => {
    const refusals = [
      ['distributor', 'wire1.capacity: 5', /wire1\.capacity: must be an energy/],
      ['distributor', 'distribution.chain: street-1', /distribution\.: .*is the energy ledger itself/],
      ['distributor', 'wire2.add: yes\nwire2.name: substation', /wire2\.name: .*which no other line has/],
      ['distributor', 'wire2.feeder: feeder-9', /wire2\.feeder: unknown choice "feeder-9"/],
      ['community', 'community.import: 0.01', /community\.: .*pays more for energy than it costs/],
      ['community', 'grid.sells: yes\ngrid.asked: 0.01', /grid\.: .*below the reserve price/],
      ['community', 'community.rule: shaply', /did you mean "shapley"/],
      ['regulator', 'regulator.floor: 0.70', /regulator\.: .*floor above its ceiling/],
      ['regulator', 'regulator.suspend: a b\u00e4', /regulator\.suspend: must be serials/],
    ] as const
    for (const [role, wrong, says] of refusals) {
      const [answers] = ROLES[role]!
      const ids = wrong.split('\n').map(one => one.split(':')[0]!)
      const others = answers.split('\n').filter(one => !ids.some(id => one.startsWith(`${id}:`)))
      const { code, err } = await run(folder, `role: ${role}\nsite: elm\n${others.join('\n')}\n${wrong}\n`)
      assert.is(code, 2, `${wrong}: ${err}`)
      assert.match(err, says)
      assert.not.ok(existsSync(join(folder, 'site.yaml')))
    }
  }))

test('a site that sells over a direct line is asked for its ledger, its neighbour and its contacts', () =>
  inFolder(async folder => {
    const answers = `role: household\nsite: elm\nboard: raspberry-pi-4\n${METER}meter1.name: L1
trade: yes
ledger.chain: street-1\nledger.height: 12\nledger.hash: ${HEX}\nledger.witnesses: http://127.0.0.1:26658
line1.add: yes\nline1.side: seller\nline1.peer: oak\nline1.peer_account: ${HEX}\nline1.peer_sealing: ${HEX}
line1.peer_metering: ${HEX}\nline1.meter: L1\nline1.peer_meter: "0815"\nline1.limit: 16A
line1.board: waveshare-relay-3\nline1.allow_unsupervised: yes\nline1.reserve: 0.10\nline1.opening: 0.20\n`
    const made = await run(folder, answers, '--print')
    assert.is(made.code, 0, made.err)
    const loaded = loadConfig(made.out, 'site.yaml')
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
    if (!loaded.ok) return
    assert.is(loaded.value.directLines[0]?.peerMeter, '0815')
    assert.is(loaded.value.trade.sell?.reserve, 100_000n as never)
    assert.equal(loaded.value.ledger?.witnesses, ['http://127.0.0.1:26658'])
    const refused = await run(folder, answers.replace('line1.opening: 0.20', 'line1.opening: 0.05'), '--print')
    assert.is(refused.code, 2)
    assert.match(refused.err, /line1\.: is below the reserve price|line1\..*below the reserve price/)
    const unsupervised = await run(
      folder,
      answers.replace('allow_unsupervised: yes', 'allow_unsupervised: no'),
      '--print',
    )
    assert.is(unsupervised.code, 2)
    assert.match(unsupervised.err, /contacts open by themselves/)
  }))

test('--print shows the file and writes nothing', () =>
  inFolder(async folder => {
    const { code, out } = await run(folder, `site: elm\n${METER}`, '--print')
    assert.is(code, 0)
    assert.ok(loadConfig(out, 'x').ok)
    assert.equal(readdirSync(folder), ['answers.yaml'])
  }))

test('without a terminal and without answers it says what to name', async () => {
  const kept = keepTerminal()
  assert.is(await tieline(['init', '--config', '/nowhere/site.yaml'], kept.terminal, async () => {}), 2)
  assert.match(kept.err(), /no terminal to ask at: name the answers with --answers FILE/)
})

test('an answer that is missing, wrong or never asked for is named, and nothing is written', () =>
  inFolder(async folder => {
    for (const [answers, says] of [
      [METER, /"site" is missing/],
      [`site: elm\nrole: houshold\n${METER}`, /role: unknown choice "houshold", did you mean "household"/],
      [`site: elm\nmeter1.how: search\n`, /"meter1.found" is missing.*as `tieline read` takes it/],
      [`site: elm\nsiet: oak\n${METER}`, /"siet" was not asked; did you mean "site"/],
      [`site: elm\n${METER}meter1.unit: 300\n`, /meter1\.: must be a Modbus unit|meter1.unit/],
      [`site: [elm]\n${METER}`, /answers.yaml:1:\d+: .*must be one answer/],
      ['- elm\n', /must be lines of id: answer/],
    ] as const) {
      const { code, err } = await run(folder, answers)
      assert.is(code, 2, `${answers} ${err}`)
      assert.match(err, says)
      assert.not.ok(existsSync(join(folder, 'site.yaml')))
    }
  }))

test('a file that is there stays, unless it is to be replaced, and then it is kept beside the new one', () =>
  inFolder(async folder => {
    const file = join(folder, 'site.yaml')
    writeFileSync(file, '# mine\n')
    const refused = await run(folder, `site: elm\n${METER}`)
    assert.is(refused.code, 1)
    assert.match(refused.err, /is there already and stays as it is; `overwrite: yes` among the answers replaces it/)
    assert.is(readFileSync(file, 'utf8'), '# mine\n')
    const replaced = await run(folder, `site: elm\noverwrite: yes\n${METER}`)
    assert.is(replaced.code, 0, replaced.err)
    assert.is(readFileSync(`${file}.1.bak`, 'utf8'), '# mine\n')
    assert.match(readFileSync(file, 'utf8'), /^site: elm$/m)
    await run(folder, `site: oak\noverwrite: yes\n${METER}`)
    assert.match(readFileSync(`${file}.2.bak`, 'utf8'), /^site: elm$/m)
    assert.is(readFileSync(`${file}.1.bak`, 'utf8'), '# mine\n')
  }))

test('with --json one object says what was read, what is not proven and what to do next', () =>
  inFolder(async folder => {
    const { out } = await run(folder, `site: elm\n${METER}home_assistant: yes\n`, '--json')
    const said = JSON.parse(out)
    assert.is(said.readings[0].ok, false)
    assert.is(said.readings[0].fault.code, 'tcp.gone')
    assert.match(said.unproven.join('\n'), /grid could not be read/)
    const file = join(folder, 'site.yaml')
    assert.equal(said.next, [
      `tieline check ${file}`,
      `tieline key init --config ${file}`,
      `tieline run --config ${file}`,
      `mosquitto_sub -h 127.0.0.1 -p 1883 -t 'homeassistant/device/+/config' -C 1 -v`,
      'curl http://127.0.0.1:8480/metrics',
    ])
    // The passphrase is for its owner alone, and nowhere else.
    const passphrase = join(folder, 'data/keys/passphrase')
    assert.is(statSync(passphrase).mode & 0o777, 0o600)
    assert.not.ok(out.includes(readFileSync(passphrase, 'utf8').trim()))
  }))

test('flags of `tieline read` say which meter, and an unknown or a doubled one is refused', () => {
  assert.equal(optionsOf('--page eastron-sdm630  --unit 2'), { page: 'eastron-sdm630', unit: '2' })
  assert.type(optionsOf('--pgae x'), 'string')
  assert.type(optionsOf('--unit 1 --unit 2'), 'string')
  assert.type(optionsOf('--unit'), 'string')
  assert.type(optionsOf('--key 00112233445566778899aabbccddeeff'), 'string')
})

/** What people type, right and wrong, at any question. */
const TYPED = [
  ...[
    'elm',
    'Oak-2',
    'constructor',
    '__proto__',
    'null',
    'true',
    '1e3',
    '',
    ' ',
    '#x',
    '- a',
    'a: b',
    '{x}',
    '"',
    "'",
    '\\',
    'ä',
    '🙂',
    'x'.repeat(40),
  ],
  ...['1', '2', '7', '254', '255', '300', '0', '12345678-TLN-01-02', 'FFFFFFFF'],
  ...['/dev/ttyUSB0', '/dev/serial/by-id/usb-x', '127.0.0.1:502', '[::1]:502', 'gate', '/dev/tty #0', '~', 'all'],
  ...['9600 8N1', '2400 8E1', '300 7E1', '12 8N1', '115200 8n1'],
  ...['--page eastron-sdm120 --line /dev/ttyUSB0 --unit 3', '--telegram sml --tcp eye:9000', 'typed'],
  ...[
    HEX,
    `02${HEX}`,
    '0.1',
    '0.25',
    '3',
    '16A',
    '6A',
    '35A',
    '4A',
    'mqtt://hub',
    'mqtts://hub:8883',
    'mqtt://u:p@hub',
  ],
  ...[
    'http://node:26657',
    'mqtt:relay-1',
    'http://a:1, http://b:2',
    'http://node:26657,mqtt:relay-1',
    'ca.crt',
    '/k e y: x #y',
  ],
]
const AROUND = { boards: { 'raspberry-pi-4': ['waveshare-relay-3'], x86: [] }, data: 'data' }

/** Answers drawn from a tape until the walk ends; undefined where the tape is too short. */
function fill(tape: readonly number[]): Draft | undefined {
  const answers = new Map<string, string>()
  let at = 0
  const draw = (question: Question): string => {
    const pool = question.choices?.map(({ value }) => value) ?? TYPED
    const roll = tape[at++ % tape.length]! + at
    return question.initial !== undefined && roll % 3 === 0 ? question.initial : pool[roll % pool.length]!
  }
  for (let refused = 0; refused < 8; refused++) {
    const walk = siteWalk(AROUND)
    let step = walk.next()
    while (step.done !== true && step.value.kind === 'question') {
      const question = step.value
      let answer = answers.get(question.id)
      for (let tries = 0; answer === undefined && tries < 200; tries++) {
        const drawn = draw(question)
        if (question.check(drawn) === undefined) answer = drawn
      }
      if (answer === undefined) return undefined
      answers.set(question.id, answer)
      step = walk.next(answer)
    }
    if (step.done === true) return step.value
    const { prefix, why } = step.value as Refusal
    assert.ok(prefix !== '', `${why} ${JSON.stringify([...answers])}`)
    // As the wizard does: these are asked anew.
    for (const id of [...answers.keys()]) if (id.startsWith(prefix)) answers.delete(id)
  }
  return undefined
}

test('any answers that the questions take make a configuration that loads', () => {
  const met = new Set<string>()
  let made = 0
  assertCovering(
    fc.property(fc.array(fc.nat(1_000_000), { minLength: 60, maxLength: 200 }), tape => {
      const draft = fill(tape)
      if (draft === undefined) return
      made++
      met.add(draft.role)
      if (draft.directLines.length > 0) met.add('direct line')
      if (draft.charger !== undefined) met.add('with charger')
      if (draft.broker?.tls !== undefined) met.add('tls')
      if (draft.meters.length > 1) met.add('meters')
      const loaded = loadConfig(siteText(draft), 'site.yaml')
      assert.ok(loaded.ok, loaded.ok ? '' : `${loaded.faults.map(configLine).join('\n')}\n${siteText(draft)}`)
      if (!loaded.ok) return
      assert.is(loaded.value.site, draft.site)
      assert.equal(
        Object.keys(loaded.value.meters),
        draft.meters.map(({ name }) => name),
      )
      if (draft.broker?.tls !== undefined) assert.equal({ ...loaded.value.brokerTls }, { ...draft.broker.tls })
    }),
    300,
  )
  assert.ok(made > 100, `${made} made`)
  for (const what of ['household', 'regulator', 'storage', 'with charger', 'meters', 'tls'])
    assert.ok(met.has(what), `${what} was never met`)
}, 90_000)

test.run()
