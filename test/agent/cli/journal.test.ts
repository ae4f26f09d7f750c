/** `tieline journal` and a journal as evidence, on real folders that a real writer left. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { openDisk, openFolder } from '../../../drivers/store/disk.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { encodeHead, HEAD_PURPOSE } from '../../../protocol/reading/head.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, END, payloadOf, signed, stationOn } from '../../protocol/ocmf/foreign.ts'
import { chainOf, sampleContext, sealContext, sealReading } from '../../protocol/reading/sample.ts'
import { runTieline } from './cli-run.ts'

const root = mkdtempSync(join(tmpdir(), 'tieline-journal-cli-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
let folders = 0
const newFolder = () => join(root, `j${++folders}`)

const KEY = toHex(sampleContext.key)
const chain = await chainOf(Array.from({ length: 12 }, () => ({})))
const context = await sealContext(sampleContext)
const readings = await Promise.all(chain.map(({ reading }) => sealReading(reading)))
const BLOCK = 4096

/** A journal of twelve readings, each in a block of its own, over several segments of eight blocks. */
async function writeJournal(ocmf: readonly string[] = [], owner = sampleContext.device): Promise<string> {
  const folder = newFolder()
  const disk = must(await openDisk(folder))
  const { clock, timers } = createSystemTime()
  const journal = must(
    await openJournal({
      disk,
      clock,
      timers,
      entropy: { bytes: count => new Uint8Array(count).fill(7) },
      owner,
      segmentBytes: 8 * BLOCK,
      keeping: ({ kind }) => (kind === 'context' || kind === 'reading' ? { as: kind } : undefined),
    }),
  )
  const record = (envelope: Uint8Array) =>
    encodeMeteringRecord({ name: 'grid', meterId: sampleContext.meterId, envelope })
  must(await journal.append('context', record(context), { urgent: true }))
  for (const envelope of readings) must(await journal.append('reading', record(envelope), { urgent: true }))
  for (const text of ocmf) must(await journal.append('ocmf', utf8(text), { urgent: true }))
  await journal.close()
  await disk.close()
  return folder
}

const segmentsOf = (folder: string) => readdirSync(folder).filter(name => name.endsWith('.seg'))
function damage(folder: string, segment: number, at: number): void {
  const file = join(folder, segmentsOf(folder)[segment]!)
  const bytes = readFileSync(file)
  bytes[at]! ^= 1
  writeFileSync(file, bytes)
}

const test = suite('cli journal')

test('a whole journal is checked, verified, and given out as lines that verify again', async () => {
  const folder = await writeJournal()
  assert.ok(segmentsOf(folder).length >= 2)
  const checked = await runTieline(['journal', 'check', folder, '--json'])
  assert.is(checked.exit, 0, checked.err)
  assert.equal([checked.json()[0].ok, checked.json()[0].owner], [true, toHex(sampleContext.device)])
  const people = await runTieline(['journal', 'check', folder])
  assert.ok(people.out.endsWith('it is whole\n'), people.out)

  const verified = await runTieline(['verify', folder, '--key', KEY, '--json'])
  assert.is(verified.exit, 0, verified.out)
  const [said] = verified.json()
  assert.equal([said.what, said.meters[0].readings, said.meters[0].sequence], ['journal', 12, [1, 12]])

  const lines = await runTieline(['journal', 'export', folder])
  assert.is(lines.exit, 0)
  assert.is(lines.out.trim().split('\n').length, 13, 'the context once, in front')
  const file = join(root, 'export.jsonl')
  writeFileSync(file, lines.out)
  const again = await runTieline(['verify', file, '--key', KEY, '--json'])
  assert.equal([again.exit, again.json()[0].meters[0].readings], [0, 12])
})

test('OCMF records of several meters and days are judged where their key is named, and given out in runs that verify', async () => {
  const { key } = stationOn('secp256r1')
  const fiscal = { ...BEGIN, TX: undefined, TM: '2024-03-01T00:00:00,000+0100 S', RV: 111 }
  const given = [
    payloadOf({ PG: 'T7', TT: 'deal 1' }, BEGIN),
    payloadOf({ PG: 'F1' }, fiscal),
    payloadOf({ PG: 'F1', MS: 'M-2' }, { ...fiscal, RV: 3 }),
    payloadOf({ PG: 'T8', TT: 'deal 1' }, END),
    payloadOf({ PG: 'T1', MS: 'M-2', TT: 'deal 2' }, { ...BEGIN, RV: 1 }, { ...END, RV: 2 }),
  ].map(payload => signed(payload))
  const folder = await writeJournal(given)
  const unnamed = await runTieline(['verify', folder, '--key', KEY])
  assert.is(unnamed.exit, 0)
  assert.ok(unnamed.out.includes('of 5 OCMF records in it nothing is said'), unnamed.out)
  const named = await runTieline(['verify', folder, '--key', KEY, '--key', key])
  assert.is(named.exit, 0, named.out)
  assert.ok(named.out.includes('5 OCMF records judged'), named.out)
  // The point in its short form, as \`tieline key show\` says it.
  const compressed = toHex(p256.Point.fromHex(key.slice(-130)).toBytes(true))
  assert.is((await runTieline(['verify', folder, '--key', KEY, '--key', compressed])).exit, 0)

  const file = join(root, 'given.xml')
  writeFileSync(file, (await runTieline(['journal', 'export', folder, '--format', 'ocmf'])).out)
  const again = await runTieline(['verify', file, '--key', compressed, '--json'])
  assert.equal([again.exit, again.json()[0].runs.length], [0, 4], again.out)
  const one = await runTieline([
    'journal',
    'export',
    folder,
    '--format',
    'ocmf',
    '--meter',
    'M-2',
    '--until',
    '2024-03-01',
  ])
  assert.is(one.out.match(/<value /g)?.length, 2)

  // Named for the heads: it never signs OCMF, and accuses nobody of it.
  const account = createP256Signer(new Uint8Array(32).fill(4)).publicKey
  const ofAccount = await writeJournal(given, ueidOf(account))
  const forHeads = await runTieline(['verify', ofAccount, '--key', KEY, '--key', toHex(account)])
  assert.is(forHeads.exit, 0, forHeads.out)
  assert.ok(forHeads.out.includes('of 5 OCMF records in it nothing is said'), forHeads.out)

  const forged = await writeJournal([given[0]!, given[3]!.replace('110.75', '119.75')])
  const refused = await runTieline(['verify', forged, '--key', KEY, '--key', key])
  assert.is(refused.exit, 1)
  assert.match(refused.out, /OCMF T8 of meter M-1: ocmf\.signature/)
})

test('a part is given out by time and meter, behind its context; what matches nothing says so', async () => {
  const folder = await writeJournal()
  const sixth = new Date(chain[5]!.reading.time).toISOString()
  const since = await runTieline(['journal', 'export', folder, '--since', sixth])
  assert.equal(
    since.json().map(line => [line.kind, line.sequence]),
    [['context', undefined], ...[6, 7, 8, 9, 10, 11, 12].map(n => ['reading', n])],
  )
  const until = await runTieline(['journal', 'export', folder, '--until', sixth, '--meter', sampleContext.meterId])
  assert.is(until.json().length, 6)
  const other = await runTieline(['journal', 'export', folder, '--meter', 'other'])
  assert.equal([other.exit, other.out], [1, ''])
  assert.ok(other.err.includes('nothing in it matches'))
  const senml = await runTieline(['journal', 'export', folder, '--format', 'senml'])
  assert.is(JSON.parse(senml.out)[0].u, 'count')
  for (const args of [
    ['--since', 'yesterday'],
    ['--until', '2026-02-30'],
    ['--format', 'xml'],
  ]) {
    const wrong = await runTieline(['journal', 'export', folder, ...args])
    assert.equal([wrong.exit, wrong.err.split('\n').length], [2, 2], args.join(' '))
  }
})

test('every broken place is named, and everything before the first is saved into a new folder', async () => {
  const folder = await writeJournal()
  damage(folder, 1, 4 * BLOCK + 100)
  damage(folder, 1, 6 * BLOCK + 9)
  const before = segmentsOf(folder).map(name => toHex(readFileSync(join(folder, name))))
  const checked = await runTieline(['journal', 'check', folder, '--json'])
  assert.is(checked.exit, 1)
  assert.equal(
    checked.json()[0].broken.map((one: { segment: string; offset: number }) => [one.segment, one.offset]),
    [
      ['journal-00000002.seg', 4 * BLOCK],
      ['journal-00000002.seg', 6 * BLOCK],
    ],
  )
  const verified = await runTieline(['verify', folder, '--key', KEY, '--json'])
  assert.equal([verified.exit, verified.json()[0].broken[0].code], [1, 'journal.corrupt'])

  const dry = await runTieline(['journal', 'repair', folder, '--dry-run', '--json'])
  assert.is(dry.exit, 0)
  const target = newFolder()
  const saved = await runTieline(['journal', 'repair', folder, '--into', target, '--json'])
  assert.is(saved.exit, 0, saved.err)
  assert.equal([saved.json()[0].records, saved.json()[0].lost > 0], [dry.json()[0].records, true])
  assert.equal(
    segmentsOf(folder).map(name => toHex(readFileSync(join(folder, name)))),
    before,
    'the damaged folder is as it was',
  )
  const whole = await runTieline(['verify', target, '--key', KEY, '--json'])
  assert.is(whole.exit, 0, whole.out)
  const [from, to] = whole.json()[0].meters[0].sequence
  assert.ok(from === 1 && to >= 5 && to < 12, `${from} to ${to}`)
  assert.is(whole.json()[0].journal.cuts.length, 1, 'the next start reports where it was cut')
  const twice = await runTieline(['journal', 'repair', folder, '--into', target])
  assert.is(twice.exit === 0, false, 'a folder with something in it is not written into')
})

test('an end cut off, or written anew, shows against a head in other hands, and only against that', async () => {
  const account = createSigner(new Uint8Array(32).fill(3))
  const folder = await writeJournal()
  const reader = must(await openJournalReader(must(await openFolder(folder))))
  const { sequence, hash, records } = reader.head
  const head = {
    device: sampleContext.device,
    journal: reader.id,
    sequence: Number(sequence),
    hash,
    records,
    time: instant(1_795_000_000_000),
  }
  const write = async (name: string, change: Partial<typeof head>) => {
    const { envelope } = must(await signEnvelope(account, encodeHead({ ...head, ...change }), HEAD_PURPOSE))
    const file = join(root, name)
    writeFileSync(file, envelope)
    return file
  }
  const keys = ['--key', KEY, '--key', toHex(account.publicKey)]
  const against = async (file: string, of = folder) => {
    const said = await runTieline(['verify', of, ...keys, '--head', file, '--json'])
    const [report] = said.json()
    return `${said.exit} ${(report.broken ?? [report.fault]).map((one: { code: string }) => one.code).join(' ')}`
  }
  assert.is(await against(await write('h1', {})), '0 ')
  assert.is(await against(await write('h2', { hash: new Uint8Array(32) })), '1 journal.forked')
  assert.is(await against(await write('h3', { journal: new Uint8Array(16) })), '1 journal.other')
  const damaged = join(root, 'h4')
  writeFileSync(damaged, concat(readFileSync(join(root, 'h1')), Uint8Array.of(1, 2)))
  assert.is(await against(damaged), '1 envelopes.shape', 'a head that is broken does not pass for one less')
  const anchor = join(root, 'anchor.json')
  writeFileSync(anchor, JSON.stringify({ journal: toHex(reader.id), frame: String(sequence), hash: toHex(hash) }))
  assert.is(await against(anchor), '0 ')

  // The same folder without its last segment's last frame: whole in itself.
  const cut = newFolder()
  cpSync(folder, cut, { recursive: true })
  const last = segmentsOf(cut).at(-1)!
  const bytes = readFileSync(join(cut, last))
  bytes.fill(0, reader.segments.at(-1)!.endsAt - BLOCK)
  writeFileSync(join(cut, last), bytes)
  assert.is((await runTieline(['verify', cut, ...keys])).exit, 0, 'nothing inside it shows that it was longer')
  assert.is(await against(join(root, 'h1'), cut), '1 journal.truncated')
  assert.is(await against(anchor, cut), '1 journal.truncated')

  const unvouched = await runTieline(['verify', folder, '--key', KEY, '--head', join(root, 'h1')])
  assert.ok(unvouched.exit === 1 && unvouched.err.includes('audit.unknown-signer'), unvouched.err)
  const nothing = await runTieline(['verify', folder, ...keys, '--head', join(root, 'export.jsonl')])
  assert.ok(nothing.err.includes('verify.no-head'), nothing.err)
  assert.is((await runTieline(['verify', anchor, '--head', anchor])).exit, 2)
})

test('what is no journal, not there, or broken from its beginning is said in one line', async () => {
  const empty = newFolder()
  must(await openDisk(empty))
  const foreign = newFolder()
  must(await openDisk(foreign))
  writeFileSync(join(foreign, 'photo.jpg'), 'x')
  const broken = await writeJournal()
  damage(broken, 0, 20)
  for (const [args, code] of [
    [['check', join(root, 'nowhere')], 'missing'],
    [['check', empty], 'journal.missing'],
    [['export', foreign], 'journal.not-a-journal'],
    [['repair', broken, '--dry-run'], 'journal.nothing-to-save'],
  ] as const) {
    const { exit, err } = await runTieline(['journal', ...args])
    assert.ok(exit !== 0 && err.includes(code) && err.split('\n').length === 2, `${args.join(' ')}: ${exit} ${err}`)
  }
  const neither = await runTieline(['journal', 'repair', broken])
  assert.is(neither.exit, 2)
})

test.run()
