/** `tieline verify`: each form of evidence, each way to get it wrong, and what a person and a program are told. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envelopeJson } from '../../../agent/cli/evidence/envelope-json.ts'
import { verdictText } from '../../../agent/cli/evidence/verify-report.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { concat, toHex } from '../../../protocol/bytes.ts'
import { noSharedData } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, END, payloadOf, signed, stationOn } from '../../protocol/ocmf/foreign.ts'
import { chainOf, sampleContext, sealContext, sealReading } from '../../protocol/reading/sample.ts'
import { publicKey, snapshots } from '../../protocol/sunspec/bsm-captures.ts'
import { runTieline } from './cli-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-verify-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const write = (name: string, content: string | Uint8Array) => {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

const context = await sealContext(sampleContext)
const chain = await chainOf([{}, {}, { reason: 'gap', registers: [] }, {}])
const readings = await Promise.all(chain.map(({ reading }) => sealReading(reading)))
const whole = concat(context, ...readings)
const KEY = toHex(sampleContext.key)
const lines = [context, ...readings].map(envelope => `${JSON.stringify(envelopeJson(envelope))}\n`)

const test = suite('cli verify')

test('signed readings in every form they travel in are told alike, and hold', async () => {
  const forms: [string, string | Uint8Array][] = [
    ['sequence.cbor', whole],
    ['sequence.hex', `${toHex(whole).replace(/(.{64})/g, '$1\n')}\n`],
    ['sequence.base64', Buffer.from(whole).toString('base64')],
    ['export.jsonl', lines.join('')],
    ['with-bom.jsonl', `\ufeff${lines.join('\r\n')}`],
  ]
  for (const [name, content] of forms) {
    const { exit, json, err } = await runTieline(['verify', write(name, content), '--key', KEY, '--json'])
    assert.is(exit, 0, `${name}: ${err}`)
    const [said] = json()
    assert.equal([said.ok, said.what, said.broken], [true, 'signed readings', []], name)
    assert.equal([said.signers[0].key, said.signers[0].expected], [KEY, true])
    const [meter] = said.meters
    assert.equal([meter.meter, meter.readings, meter.gaps, meter.sequence], [sampleContext.meterId, 3, 1, [1, 4]])
  }
})

test('a person reads who signed, which meter, from when to when, and that every rule holds', async () => {
  const { exit, out } = await runTieline(['verify', write('a.cbor', whole)])
  assert.is(exit, 0)
  assert.ok(out.includes(`signed by ${KEY} (sealed-file)`))
  assert.ok(
    out.includes('meter 19041234 (eastron-sdm630): 3 readings, 1 gap, numbers 1 to 4, 2026-11-18T11:06:40.000Z to'),
  )
  assert.ok(out.includes('1-0:1.8.0  123456.789 kWh to 123456.789 kWh'))
  assert.ok(out.includes('nobody has vouched for the key'), 'without --key')
  assert.ok(out.endsWith('every rule holds\n'))
})

test('what was left out, changed, cut or put between is named where it stands, and the exit code is 1', async () => {
  const cases: [what: string, content: string | Uint8Array, where: string, code: string][] = [
    [
      'a reading left out',
      concat(context, readings[0]!, readings[2]!),
      `byte ${context.length + readings[0]!.length}`,
      'chain.sequence-gap',
    ],
    ['the last one cut', whole.subarray(0, -3), `byte ${whole.length - readings[3]!.length}`, 'verify.cut'],
    [
      'noise between',
      concat(context, Uint8Array.of(1, 2, 3), ...readings),
      `byte ${context.length}`,
      'envelopes.shape',
    ],
    [
      'a line with other words than were signed',
      lines.join('').replace('"sequence":2,', '"sequence":3,'),
      'line 3',
      'verify.line-differs',
    ],
    ['a line that is none', `${lines[0]}\n{oh\n`, 'line 3', 'verify.no-json'],
    ['a line without an envelope', `${lines[0]}{"kind":"reading"}\n`, 'line 2', 'verify.no-envelope'],
    [
      'a bit of the signature',
      whole.with(whole.length - 1, whole.at(-1)! ^ 1),
      `byte ${whole.length - readings[3]!.length}`,
      'cose.signature',
    ],
  ]
  for (const [what, content, where, code] of cases) {
    const { exit, json } = await runTieline(['verify', write('b', content), '--json'])
    assert.is(exit, 1, what)
    const broken = json()[0].broken.map((one: { where: string; code: string }) => `${one.where} ${one.code}`)
    assert.ok(broken.includes(`${where} ${code}`), `${what}: ${broken.join(', ')}`)
  }
})

test('a line says what was signed, all of it and once: nothing twice, added, left out or in other digits', async () => {
  const line = lines[2]!.trim()
  const deep = (n: number) => `${'['.repeat(n)}${']'.repeat(n)}`
  const cases: [what: string, line: string, code: string, fields?: readonly string[]][] = [
    ['a register that a person reads first', line.replace('{', '{"registers":[],'), 'verify.no-json'],
    ['the same within a register', line.replace('{"obis":', '{"value":"1","obis":'), 'verify.no-json'],
    ['the flags left out', line.replace('"errors":[],', ''), 'verify.line-differs', ['errors']],
    ['a field added', line.replace('{', '{"energy":"1 kWh",'), 'verify.line-differs', ['energy']],
    ['one that every object has', line.replace('{', '{"__proto__":{},'), 'verify.line-differs', ['__proto__']],
    ['a number in other digits', line.replace('"sequence":2', '"sequence":2.0'), 'verify.line-differs', ['sequence']],
    ['a name that turns the line around', line.replace('{', '{"\u202ex":1,'), 'verify.line-differs', ['?x']],
    ['a value too deep for any of ours', line.replace('{', `{"x":${deep(100_000)},`), 'verify.no-json'],
  ]
  for (const [what, changed, code, fields] of cases) {
    assert.is.not(changed, line, what)
    const content = [lines[0]!.trim(), lines[1]!.trim(), changed, ...lines.slice(3)].join('\n')
    const { exit, json } = await runTieline(['verify', write('l', content), '--json'])
    const [first] = json()[0].broken
    assert.equal([exit, first.where, first.code, first.fields], [1, 'line 3', code, fields], what)
  }
  const same = [
    line.replaceAll(',"', ' , "'),
    line.replace('"kind":"reading",', '').replace(/}$/, ',"kind":"reading"}'),
    `{"envelope":"${toHex(readings[1]!)}"}`,
  ]
  for (const said of same) {
    const { exit, err, out } = await runTieline(['verify', write('l', [lines[0], lines[1], said].join('\n'))])
    assert.is(exit, 0, `${said}: ${out}${err}`)
  }
})

test('a file that is wrong from end to end is told by its first rules, and how many there are', async () => {
  const noise = Buffer.from('d28440a0404000'.repeat(3000), 'hex')
  const { exit, json, out } = await runTieline(['verify', write('n', concat(context, noise)), '--json'])
  // 3,000 envelopes that are none, and 3,000 stretches of noise.
  assert.equal([exit, json()[0].broken.length + json()[0].unlisted], [1, 6000])
  assert.ok(out.length < 400_000, String(out.length))
})

test('on a terminal a broken rule is red, and what others wrote has no colour of its own', () => {
  const broken = { listed: [{ where: 'line 1', fault: { code: 'a.b', found: '\u001b[2K' } }], unlisted: 0 }
  const text = verdictText('f', { what: 'w', said: [], notes: [], broken, json: {} }, { colour: true })
  assert.ok(text.includes('\u001b[31mbroken\u001b[0m  line 1: a.b (found=\\u001b[2K)'), text)
})

test('keys are taken raw, in DER or PEM; a key that did not sign breaks the rule, one that is none is a usage mistake', async () => {
  const file = write('c.cbor', whole)
  const der = `302a300506032b6570032100${KEY}`
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(der, 'hex').toString('base64')}\n-----END PUBLIC KEY-----\n`
  for (const key of [KEY, KEY.toUpperCase(), der, pem, Buffer.from(der, 'hex').toString('base64')]) {
    const { exit, err } = await runTieline(['verify', file, '--key', key])
    assert.is(exit, 0, `${key}: ${err}`)
  }
  const stranger = await runTieline([
    'verify',
    file,
    '--key',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '--json',
  ])
  assert.is(stranger.exit, 1)
  assert.is(stranger.json()[0].broken[0].code, 'audit.other-key')
  for (const key of ['', 'xyz', KEY.slice(2)]) {
    const { exit, err } = await runTieline(['verify', file, '--key', key])
    assert.is(exit, 2, key)
    assert.is(err.split('\n').length, 2, 'one line')
  }
})

test('charging records of two stations are judged by the key of each, and a key that is none is a usage mistake', async () => {
  const other = stationOn('secp256k1')
  const value = (id: string, text: string) =>
    `<value transactionId="${id}"><signedData format="OCMF">${text}</signedData></value>`
  const unsure = signed(payloadOf({ MS: 'M-2' }, BEGIN, { ...END, TM: END.TM.replace('S', 'U') }), other)
  const file = write('two.xml', `<values>${value('a', signed(payloadOf()))}${value('b', unsure)}</values>`)
  const keys = [stationOn('secp256r1').key, other.key]
  const { exit, out } = await runTieline(['verify', file, ...keys.flatMap(key => ['--key', key])])
  assert.is(exit, 0, out)
  assert.ok(out.includes('2024-02-29T11:00:00.000Z to 2024-02-29T12:00:00.000Z (time unknown), user'), out)
  const one = await runTieline(['verify', file, '--key', keys[0]!, '--json'])
  const [{ where, code, record }] = one.json()[0].broken
  assert.equal([one.exit, where, code, record], [1, 'record 2', 'ocmf.curve-differs', undefined])
  for (const key of ['', 'xyz', keys[0]!.slice(2)]) {
    const { exit, err } = await runTieline(['verify', file, '--key', keys[0]!, '--key', key])
    assert.equal([exit, err.split('\n').length], [2, 2], key)
  }
})

test('where a second key signed for a gateway, a person is told', async () => {
  const other = createSigner(new Uint8Array(32).fill(9))
  const second = await sealContext({ ...sampleContext, key: other.publicKey }, other)
  const keys = ['--key', KEY, '--key', toHex(other.publicKey)]
  const notesOf = async (...envelopes: Uint8Array[]) => {
    const { exit, json } = await runTieline(['verify', write('k', concat(...envelopes)), ...keys, '--json'])
    assert.is(exit, 0)
    return json()[0].notes
  }
  assert.equal(await notesOf(whole), [])
  const [note] = await notesOf(context, second)
  assert.ok(note.startsWith(`gateway ${toHex(sampleContext.device)}: more than one key`), note)
})

test('what is no evidence is said in one line, also to a program', async () => {
  for (const [content, code] of [
    ['', 'verify.empty'],
    ['hello', 'verify.unknown-form'],
    [Uint8Array.of(0x89, 0x50, 0x4e, 0x47), 'verify.unknown-form'],
    ['{"a":1}', 'verify.unknown-form'],
  ] as const) {
    const { exit, err, json } = await runTieline(['verify', write('d', content), '--json'])
    assert.is(exit, 1)
    assert.is(json()[0].fault.code, code)
    assert.ok(err.includes(code) && err.split('\n').length === 2, err)
  }
  const missing = await runTieline(['verify', join(folder, 'nowhere')])
  assert.is(missing.exit, 74)
  assert.ok(missing.err.endsWith('no such file\n'))
})

test.skipIf(
  noSharedData,
  'a snapshot of a BAUER meter is judged by the key on the meter, which must be named',
  async () => {
    const [snapshot] = snapshots()
    const key = toHex(publicKey())
    const { exit, json } = await runTieline(['verify', write('s.bin', snapshot!), '--key', key, '--json'])
    assert.is(exit, 0)
    assert.equal([json()[0].what, json()[0].snapshot.counter > 0], ['snapshot of a BAUER BSM-WS36A', true])
    const bare = await runTieline(['verify', write('s.hex', toHex(snapshot!)), '--json'])
    assert.equal([bare.exit, bare.json()[0].fault.code], [1, 'verify.key-needed'])
    const changed = snapshot!.with(13, snapshot![13]! ^ 1)
    const forged = await runTieline(['verify', write('s2.bin', changed), '--key', key, '--json'])
    assert.equal([forged.exit, forged.json()[0].broken[0].code], [1, 'bsm.signature'])
  },
)

test.run()
