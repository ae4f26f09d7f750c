/** What is kept of each kind of record that anything in the agent writes. */
import { BOOT, DEAL, HEARD, INTENT, KEY_KIND, keepForRestart, PART } from '../../agent/keeping.ts'
import { EVENT_KIND } from '../../agent/metering/events.ts'
import { PEER_HEAD } from '../../agent/metering/heads.ts'
import { METERING_KINDS } from '../../agent/metering/journal-form.ts'
import { OCMF_KIND } from '../../agent/metering/ocmf.ts'
import { noteRecord } from '../../drivers/store/journal-own.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { assert, suite } from '../harness.ts'

const test = suite('keeping')

/** Bytes that no decoder takes: what cannot be read is kept, so that whoever restarts says so. */
const bytes = utf8('?')
const keptAs = (kind: string) => keepForRestart({ kind, bytes })?.as

test('of every kind that a restart asks for something is kept, and of no other', () => {
  for (const kind of [BOOT, DEAL, HEARD, EVENT_KIND, PEER_HEAD, OCMF_KIND, `${PART}grid`]) assert.is(keptAs(kind), kind)
  assert.is(keptAs(KEY_KIND), `key/${toHex(sha256(bytes))}`, 'statements about keys, each of them')
  assert.equal(
    METERING_KINDS.map(keptAs),
    METERING_KINDS.map(kind => `${kind}/`),
  )
  for (const kind of [INTENT, 'something else']) assert.is(keepForRestart({ kind, bytes }), undefined)
})

test("the journal's own notes are kept until an event says them", () => {
  const head = { sequence: 7n, hash: new Uint8Array(32) }
  const as = (record: Parameters<typeof keepForRestart>[0]) => keepForRestart(record)?.as
  assert.is(as(noteRecord({ kind: 'cut', segment: 2, offset: 4096, bytes: 4096 }, 0)), 'note/cut/2/4096')
  assert.is(as(noteRecord({ kind: 'sealed', segment: 2, records: 9, ...head }, 0)), 'note/sealed/2')
  assert.is(as(noteRecord({ kind: 'dropped', segment: 2, ...head }, 0)), 'note/dropped/2')
})

test.run()
