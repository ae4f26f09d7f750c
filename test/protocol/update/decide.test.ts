/** Every state that a gateway's releases can be in, over four releases: what starts, and where it ends. */

import { toHex } from '../../../protocol/bytes.ts'
import {
  admitFault,
  decideConfirm,
  decideGiveUp,
  decideInstall,
  decideRollback,
  decideStart,
  keptReleases,
} from '../../../protocol/update/decide.ts'
import { releaseOf } from '../../../protocol/update/manifest.ts'
import { decodeState, encodeState, type ReleaseState, TRIES_MAX } from '../../../protocol/update/state.ts'
import { assert, suite } from '../../harness.ts'

const NAMES = [1, 2, 3, 4].map(release => `${release}-0000000${release}`)
const MAYBE = [undefined, ...NAMES]

function* states(): Generator<ReleaseState> {
  for (const good of MAYBE) {
    for (const previous of MAYBE) {
      for (const name of MAYBE) {
        for (let tries = 0; tries <= (name === undefined ? 0 : TRIES_MAX); tries++) {
          for (const highest of MAYBE) {
            yield {
              ...(good && { good }),
              ...(previous && { previous }),
              ...(name && { candidate: { name, tries } }),
              ...(highest && { highest }),
            }
          }
        }
      }
    }
  }
}

function* facts() {
  for (const packaged of [0, 2, 4]) {
    for (let bits = 0; bits < 16; bits++) {
      const unfit = new Map(NAMES.filter((_, at) => bits & (1 << at)).map(name => [name, 'damaged']))
      for (const readOnly of [false, true]) yield { packaged, unfit, readOnly }
    }
  }
}

const test = suite('update decisions')

test('in every state exactly one thing starts: never an unfit one, never one older than the package, never an uncounted try', () => {
  let seen = 0
  for (const state of states()) {
    for (const fact of facts()) {
      const decided = decideStart(state, fact)
      seen++
      if (decided.start === 'packaged') {
        // Only where nothing that was found good would do.
        for (const name of [state.good, state.previous]) {
          assert.ok(name === undefined || fact.unfit.has(name) || releaseOf(name) <= fact.packaged)
        }
      } else {
        assert.not.ok(fact.unfit.has(decided.name))
        assert.ok(releaseOf(decided.name) > fact.packaged)
      }
      if (decided.start === 'good') assert.ok([state.good, state.previous].includes(decided.name))
      if (decided.start === 'candidate') {
        assert.not.ok(fact.readOnly)
        assert.is(decided.name, state.candidate?.name)
        assert.is(decided.next.candidate!.tries, state.candidate!.tries + 1)
      }
      if (fact.readOnly) assert.is(decided.next, state)
      // Whatever starts is kept on the disk, and so is what was good.
      if (decided.start !== 'packaged') assert.ok(keptReleases(decided.next).has(decided.name))
      assert.is(decided.next.good, state.good)
      assert.is(decided.next.highest, state.highest)
    }
  }
  assert.is(seen, 5 * 5 * (1 + 4 * 4) * 5 * 3 * 16 * 2)
})

test('started again and again without being found good, every state comes to rest within four starts', () => {
  for (const first of states()) {
    for (const fact of facts()) {
      if (fact.readOnly) continue
      let state = first
      for (let n = 0; n <= TRIES_MAX; n++) state = decideStart(state, fact).next
      const decided = decideStart(state, fact)
      assert.is.not(decided.start, 'candidate')
      assert.equal(decided.next, state)
      assert.is(state.candidate, undefined)
    }
  }
})

test('what is found good stays, keeps what was good before, and makes the highest no lower', () => {
  for (const state of states()) {
    for (const name of NAMES) {
      const next = decideConfirm(state, name)
      assert.is(next === undefined, state.candidate?.name !== name)
      if (next === undefined) continue
      assert.is(next.good, name)
      assert.is(next.candidate, undefined)
      if (state.good !== undefined && state.good !== name) assert.is(next.previous, state.good)
      const highest = (one: ReleaseState) => (one.highest === undefined ? 0 : releaseOf(one.highest))
      assert.ok(highest(next) >= Math.max(highest(state), releaseOf(name)))
    }
  }
})

test('given up or rolled back, nothing unproven is left, and the highest stays', () => {
  for (const state of states()) {
    for (const name of NAMES) {
      const next = decideGiveUp(state, name, 'why')
      if (state.candidate?.name !== name) assert.is(next, state)
      else assert.is(next.candidate, undefined)
      assert.is(next.highest, state.highest)
    }
    const back = decideRollback(state)
    assert.is(back === undefined, state.candidate === undefined && state.good === undefined)
    if (back === undefined) continue
    assert.is(back.candidate, undefined)
    assert.is(back.highest, state.highest)
    assert.is(back.good, state.candidate === undefined ? state.previous : state.good)
  }
})

test('only what is newer than everything that was ever found good is admitted, or that itself', () => {
  const manifest = {
    product: 'tieline',
    architecture: 'arm64',
    version: '1',
    least: 0,
    files: new Uint8Array(32),
    size: 1,
  } as const
  for (const state of states()) {
    for (const packaged of [0, 2, 4]) {
      for (const floor of [0, 3]) {
        for (const name of [...NAMES, '3-ffffffff']) {
          const release = releaseOf(name)
          const facts = { packaged, floor, architecture: 'arm64', group: undefined } as const
          const fault = admitFault({ manifest: { ...manifest, release }, name }, state, facts)
          const highest = state.highest === undefined ? 0 : releaseOf(state.highest)
          const newer = release > Math.max(packaged, floor, highest)
          const again = name === state.highest && release > packaged && release >= floor
          assert.is(fault === undefined, newer || again, JSON.stringify({ state, packaged, floor, name }))
        }
      }
    }
  }
})

test('another architecture, another group and a release that is too far are refused by name', () => {
  const base = {
    product: 'tieline',
    architecture: 'arm64',
    version: '1',
    release: 9,
    least: 0,
    files: new Uint8Array(32),
    size: 1,
  } as const
  const facts = { packaged: 1, floor: 0, architecture: 'arm64', group: undefined } as const
  const code = (manifest: object, more: object = {}) =>
    admitFault(
      { manifest: { ...base, ...manifest }, name: '9-00000009' },
      { good: '3-00000003' },
      { ...facts, ...more },
    )?.code
  assert.is(code({}), undefined)
  assert.is(code({}, { architecture: 'amd64' }), 'update.architecture')
  assert.is(code({ group: 'pilot' }), 'update.group')
  assert.is(code({ group: 'pilot' }, { group: 'street' }), 'update.group')
  assert.is(code({ group: 'pilot' }, { group: 'pilot' }), undefined)
  assert.is(code({}, { group: 'pilot' }), undefined)
  assert.is(code({ least: 3 }), undefined)
  assert.is(code({ least: 4 }), 'update.too-far')
})

test('a state is read back as it was written, and a changed bit anywhere makes it none', () => {
  const full = decideInstall(
    {
      good: NAMES[1]!,
      previous: NAMES[0]!,
      highest: NAMES[1]!,
      failed: { name: NAMES[3]!, why: 'ö' },
      root: new Uint8Array(32),
    },
    NAMES[2]!,
    { meters: ['grid', 'L1'], ledger: true },
  )
  for (const state of [full, {}]) {
    const bytes = encodeState(state)
    const read = decodeState(bytes)
    assert.ok(read.ok)
    assert.is(toHex(encodeState(read.value)), toHex(bytes))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = bytes.slice()
      other[bit >> 3]! ^= 1 << (bit & 7)
      assert.not.ok(decodeState(other).ok)
    }
    for (let end = 0; end < bytes.length; end++) assert.not.ok(decodeState(bytes.subarray(0, end)).ok)
  }
})

test.run()
