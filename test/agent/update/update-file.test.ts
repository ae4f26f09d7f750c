/** Update files that attack: by whose key, for whom, how old, and 10,000 random mutants of a good one. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { installUpdate, verifyUpdate, verifyWhole } from '../../../agent/update/install.ts'
import { readKeys } from '../../../agent/update/releases.ts'
import { chooseStart } from '../../../agent/update/start.ts'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { type About, updateFile } from '../../../hw/image/update.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimTree } from '../../../hw/sim/tree.ts'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { encode } from '../../../protocol/cbor.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { must, ok, type Result } from '../../../protocol/result.ts'
import { decideConfirm } from '../../../protocol/update/decide.ts'
import { assembleHead, manifestOf, UPDATE_PURPOSE } from '../../../protocol/update/manifest.ts'
import { encodeState, type ReleaseState } from '../../../protocol/update/state.ts'
import { readTrust } from '../../../protocol/update/trust.ts'
import { assert, suite } from '../../harness.ts'
import {
  about,
  bodiesOf,
  KEYS,
  next,
  noWait,
  ours,
  signer,
  sourceOf,
  stranger,
  updateOf,
  verifier,
} from './update-bench.ts'

const PACKAGED = 10
const gateway = () => createSimTree({ random: seededRandom(1) }).mount()
const settings = (more: object = {}) => ({
  ...({ tree: gateway(), timers: noWait, verifier, packaged: PACKAGED, architecture: 'amd64', keys: KEYS } as const),
  ...more,
})
const codeOf = (result: Result<unknown>) => (result.ok ? 'taken' : result.fault.code)
const attempt = async (bytes: Uint8Array, more: object = {}) =>
  codeOf(await installUpdate(sourceOf(bytes), settings(more)))
const keyLine = (key: { publicKey: Uint8Array }) => `key ${toHex(key.publicKey)}\n`

const test = suite('update file')
const good = await updateOf(11)

test('a good one is taken; the same files and keys give the same bytes', async () => {
  assert.is(await attempt(good), 'taken')
  assert.equal(await updateOf(11), good)
  assert.is(codeOf(await verifyWhole(sourceOf(good), settings())), 'taken')
})

test('each attack is refused by name', async () => {
  assert.is(await attempt(await updateOf(11, {}, [stranger])), 'update.not-signed')
  assert.is(await attempt(await updateOf(10)), 'update.not-newer')
  assert.is(await attempt(await updateOf(9)), 'update.not-newer')
  assert.is(await attempt(await updateOf(11, { architecture: 'armhf' })), 'update.architecture')
  assert.is(await attempt(await updateOf(11, { group: 'pilot' })), 'update.group')
  assert.is(await attempt(await updateOf(11, { group: 'pilot' }), { keys: `${KEYS}group pilot\n` }), 'taken')
  assert.is(await attempt(await updateOf(12, { least: 11 })), 'update.too-far')
  assert.is(await attempt(good, { keys: '# nobody\n' }), 'update.no-keys')
  assert.is(await attempt(concat(good, Uint8Array.of(0))), 'update.length')
  assert.is(await attempt(utf8('tieline-0.1.0.deb')), 'update.not-an-update')
  assert.is(await attempt(new Uint8Array(0)), 'update.truncated')
  const changed = good.slice()
  changed[changed.length - 1]! ^= 1
  assert.is(await attempt(changed), 'update.other-bytes')
  assert.is(codeOf(await verifyWhole(sourceOf(changed), settings())), 'update.other-bytes')
})

test('cut short anywhere it is refused, and nothing is left of it', async () => {
  for (let end = 0; end < good.length; end += end < 1500 ? 7 : 211) {
    const tree = gateway()
    const result = await installUpdate(sourceOf(good.slice(0, end)), { ...settings(), tree })
    assert.match(codeOf(result), /^update\.(truncated|length)$/, `${end} bytes`)
    const left = await tree.list('releases')
    assert.equal(left.ok && left.value, [], `${end} bytes`)
  }
})

test('10,000 random mutants: none is taken, none makes anything crash', async () => {
  const random = seededRandom(7)
  const below = (most: number) => Math.floor(random() * most)
  const options = settings()
  const codes = new Map<string, number>()
  for (let n = 0; n < 10_000; n++) {
    const one = good.slice()
    let mutant: Uint8Array = one
    // Half of them in the head, which is a fifth of the file.
    const at = random() < 0.5 ? below(900) : below(one.length)
    const way = below(4)
    if (way === 0) one[at]! ^= 1 << below(8)
    else if (way === 1) one[at] = below(256)
    else if (way === 2) mutant = concat(one.subarray(0, at), one.subarray(at + 1 + below(8)))
    else
      mutant = concat(
        one.subarray(0, at),
        Uint8Array.from({ length: 1 + below(8) }, () => below(256)),
        one.subarray(at),
      )
    if (mutant.length === good.length && mutant.every((byte, place) => byte === good[place])) continue
    const code = codeOf(await verifyWhole(sourceOf(mutant), options))
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  assert.not.ok(codes.has('taken'), JSON.stringify([...codes]))
  // The mutants reach every layer.
  for (const code of [
    'update.not-an-update',
    'update.length',
    'update.other-bytes',
    'cose.signature',
    'update.not-signed',
  ]) {
    assert.ok((codes.get(code) ?? 0) > 0, `${code}: ${JSON.stringify([...codes])}`)
  }
}, 180_000)

test('with signatures that are not looked at, a stranger gets in: the signature is the defence', async () => {
  const yes: Verifier = { verify: () => true }
  // The stranger writes our key's name into the envelope.
  const forged = await updateFile(about(11), bodiesOf('evil'), [{ ...stranger, publicKey: ours.publicKey }])
  assert.is(await attempt(forged), 'cose.signature')
  assert.is(await attempt(forged, { verifier: yes }), 'taken')
})

test('the machine with OpenSSL judges the same', async () => {
  const fast = createVerifier()
  const forged = await updateFile(about(11), bodiesOf('evil'), [{ ...stranger, publicKey: ours.publicKey }])
  assert.is(await attempt(good, { verifier: fast }), 'taken')
  assert.is(await attempt(forged, { verifier: fast }), 'cose.signature')
})

test('with the bodies not held against the list, a changed one gets in: the hash is the defence', async () => {
  const changed = good.slice()
  changed[changed.length - 1]! ^= 1
  const tree = gateway()
  const hash: typeof tree.hash = async path => {
    const body = bodiesOf('release 11').get(path.replace(/^.*\/files\//, ''))!
    return ok({ sha256: sha256(body), size: body.length })
  }
  assert.is(await attempt(changed, { tree: { ...tree, hash } }), 'taken')
})

test('as many must have signed as the threshold says, each once', async () => {
  const third = signer(4)
  const keys = `threshold 2\n${[ours, next, third].map(keyLine).join('')}`
  const by = async (...signers: (typeof ours)[]) => attempt(await updateOf(11, {}, signers), { keys })
  assert.is(await by(ours), 'update.not-signed')
  assert.is(await by(ours, ours), 'update.not-signed')
  assert.is(await by(ours, stranger), 'update.not-signed')
  assert.is(await by(ours, next), 'taken')
  assert.is(await by(third, stranger, ours), 'taken')
})

test('signatures of two manifests are no signature of either', async () => {
  const list = (text: string) =>
    manifestOf(
      about(11),
      [...bodiesOf(text)].map(([path, body]) => ({ path, size: body.length, hash: sha256(body) })),
    )
  const one = must(await signEnvelope(ours, list('a').payload, UPDATE_PURPOSE)).envelope
  const two = must(await signEnvelope(next, list('b').payload, UPDATE_PURPOSE)).envelope
  const file = concat(assembleHead([one, two], list('a').list), new Uint8Array(5000))
  assert.is(await attempt(file, { keys: KEYS + keyLine(next) }), 'update.two-manifests')
})

test('what was signed for something else is no update', async () => {
  const { payload, list } = manifestOf(about(11), [{ path: 'agent/tieline.js', size: 1, hash: new Uint8Array(32) }])
  const reading = must(await signEnvelope(ours, payload, utf8('tieline/reading/1'))).envelope
  assert.is(await attempt(concat(assembleHead([reading], list), new Uint8Array(1))), 'cose.signature')
})

test('paths that lead out, hide, or stand in each other are refused, signed or not', async () => {
  for (const path of [
    '../x',
    '/etc/x',
    'a/../x',
    'a//x',
    'a/',
    '.x',
    'a/.x',
    '',
    'a\\x',
    'a x',
    'ä',
    `${'a/'.repeat(8)}x`,
    'x'.repeat(101),
  ]) {
    const item = (name: string) =>
      new Map<number, string | number | Uint8Array>([
        [1, name],
        [2, 0],
        [3, sha256(new Uint8Array(0))],
      ])
    const list = encode([item(path), item('agent/tieline.js')])
    const { payload } = manifestOf(about(11), [{ path: 'agent/tieline.js', size: 1, hash: new Uint8Array(32) }])
    // The manifest of another list, with this one's hash in its place.
    const plain = manifestOf(about(11), [{ path: 'agent/tieline.js', size: 1, hash: new Uint8Array(32) }])
    const swapped = replaceBytes(payload, sha256(plain.list), sha256(list))
    const envelope = must(await signEnvelope(ours, swapped, UPDATE_PURPOSE)).envelope
    assert.is(await attempt(concat(assembleHead([envelope], list), new Uint8Array(1))), 'record.shape', path)
  }
  const make =
    (...paths: string[]) =>
    () =>
      manifestOf(
        about(11),
        paths.map(path => ({ path, size: 1, hash: new Uint8Array(32) })),
      )
  assert.throws(make('agent/tieline.js', 'agent'), /file-and-folder/)
  assert.throws(make('agent/tieline.js', 'agent/tieline.js'), /update.order/)
  assert.throws(make('agent/other.js'), /no-program/)
  make('agent/tieline.js', 'agent.js')()
})

function replaceBytes(input: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(toHex(input).replace(toHex(from), toHex(to)), 'hex'))
}

test('keys that a release names are trusted once it is found good, and the old ones no longer', async () => {
  const tree = gateway()
  const options = { ...settings(), tree }
  const trust: About['trust'] = { threshold: 1, keys: [next.publicKey] }
  const rotating = await updateOf(11, { trust })
  const byNext = await updateOf(12, {}, [next])
  assert.ok((await installUpdate(sourceOf(rotating), options)).ok)
  // Not before: it may yet be rolled back.
  assert.is(codeOf(await verifyUpdate(sourceOf(byNext), options)), 'update.not-signed')
  const started = await chooseStart({ ...options, keys: ok(KEYS), onFault: () => {} })
  assert.is(started.start, 'candidate')
  const { release, keys } = must(await verifyUpdate(sourceOf(rotating), options))
  const confirmed = decideConfirm({ candidate: { name: release.name, tries: 1 } }, release.name, {
    root: keys.rootHash,
    envelopes: release.envelopes,
  })!
  const put = async (state: ReleaseState) => {
    await tree.remove('releases/state')
    const bytes = encodeState(state)
    await tree.write('releases/state', sourceOf(bytes).pieces(0, bytes.length))
  }
  await put(confirmed)
  assert.is(codeOf(await verifyUpdate(sourceOf(byNext), options)), 'taken')
  assert.is(codeOf(await verifyUpdate(sourceOf(await updateOf(12)), options)), 'update.not-signed')
  // What the old key signed and was found good still starts.
  assert.is((await chooseStart({ ...options, keys: ok(KEYS), onFault: () => {} })).start, 'good')
  // A rotation by a stranger ends the chain where it stands.
  const forged = must(
    await signEnvelope(stranger, manifestOf(about(13, { trust }), release.files).payload, UPDATE_PURPOSE),
  )
  const two = { ...confirmed, rotations: [[forged.envelope], ...confirmed.rotations!] }
  assert.is(must(readKeys(KEYS, two, verifier)).chain.length, 1)
  // A person who writes other keys has the last word.
  const mine = KEYS + keyLine(stranger)
  assert.is(codeOf(await verifyUpdate(sourceOf(byNext), { ...options, keys: mine })), 'update.not-signed')
  assert.is(
    codeOf(await verifyUpdate(sourceOf(await updateOf(12, {}, [stranger])), { ...options, keys: mine })),
    'taken',
  )
})

test('the text of keys is read strictly', () => {
  const code = (text: string) => codeOf(readTrust(text))
  assert.is(code('# nothing\n\n'), 'taken')
  for (const bad of [
    'key abc',
    'keys',
    'threshold 1',
    `${KEYS}threshold 2`,
    KEYS + KEYS,
    `${KEYS}threshold 0`,
    `${KEYS}group Über`,
    `${KEYS}threshold 1\nthreshold 1`,
    `key ${'00'.repeat(32)}`,
    `key ${'ff'.repeat(32)}`,
  ])
    assert.is(code(bad), 'update.trust', bad)
  const shipped = readFileSync(fileURLToPath(new URL('../../../hw/image/debian/update-keys', import.meta.url)), 'utf8')
  assert.is(must(readTrust(shipped)), undefined)
})

test.run()
