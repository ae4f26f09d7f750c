/** What a changed backup says of itself: names, and keys, that nothing of ours has. */
import { isEntryName, newManifest, readManifest } from '../../../agent/backup/manifest.ts'
import { isKnownSealedKey, isSealedKey } from '../../../drivers/keys/sealed-file.ts'
import { encode } from '../../../protocol/cbor.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('manifest')

test('a name is one of ours, and none that a disk refuses', () => {
  for (const name of ['config.yaml', 'keys/account', 'data/journal/journal-00000001.seg', 'data/state/welds'])
    assert.is(isEntryName(name), true, name)
  for (const name of [
    'data/state/welds.unfinished',
    'data/state/.held-x',
    'data/page/token',
    'data/state/a/b',
    'keys/x',
  ])
    assert.is(isEntryName(name), false, name)
})

test('what it says of keys left out is a use of a key, and no text for a terminal', () => {
  const journal = { id: '00', sequence: '1', hash: '00', records: 1 }
  const about = { site: 'maple', at: 1, version: '1', boot: 1, journal, keysLeftOut: [], files: [] }
  const said = (keysLeftOut: readonly string[]) => readManifest(newManifest({ ...about, keysLeftOut } as typeof about))
  assert.is(said(['metering']).ok, true)
  const refused = said(['metering', '\u001b[2Jaccount'])
  assert.equal(refused.ok || [refused.fault.code, refused.fault['what']], ['backup.manifest', 'keysLeftOut'])
})

test('a sealed key of another number may hold anything: it is kept in a backup, and put nowhere by a restore', () => {
  const fields = ['tieline sealed key 9', '\nssh-ed25519 AAAA somebody\n']
  const bytes = encode([...fields, sha256(encode(fields)).subarray(0, 8)])
  assert.equal([isSealedKey(bytes), isKnownSealedKey(bytes)], [true, false])
})

test.run()
