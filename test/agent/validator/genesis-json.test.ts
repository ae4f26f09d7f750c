/** A genesis as JSON: everything both ways, and each slip of the pen named by its place. */
import { genesisJson, parseGenesis } from '../../../agent/validator/genesis-json.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { genesis, seller } from '../../protocol/ledger/parties.ts'
import { stakedGenesis } from '../../protocol/ledger/validators.ts'

const test = suite('genesis json')

const [meter] = genesis.meters
const full: Genesis = {
  ...stakedGenesis,
  meters: [
    ...genesis.meters,
    { ...meter!, meterId: 'S-2', trust: 'tpm', source: 'solar', feeder: 'F-7', accuracy: 'B' },
  ],
  roles: [...stakedGenesis.roles!, { role: 'regulator', holder: seller.address }],
  peers: [
    {
      chainId: 'grid-1',
      trustingPeriodMs: 1_209_600_000,
      maxClockDriftMs: 10_000,
      relayMarginMs: 600_000,
      anchor: { height: 1n, hash: new Uint8Array(32).fill(5) },
    },
    { chainId: 'grid-2', trustingPeriodMs: 1000, maxClockDriftMs: 0, relayMarginMs: 0 },
  ],
  reserveOn: 'grid-1',
  sellerProves: true,
}

test('a genesis with everything, and one with the least, read back as they were', () => {
  for (const one of [full, genesis]) assert.equal(must(parseGenesis(JSON.stringify(genesisJson(one)))), one)
})

type Path = readonly (string | number)[]

/** Where a document complains when the value at a path is another, or gone. */
function complaint(path: Path, value: unknown): string {
  const json = JSON.parse(JSON.stringify(genesisJson(full)))
  const last = path.at(-1)!
  const parent = path.slice(0, -1).reduce((item, step) => item[step], json)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  const parsed = parseGenesis(JSON.stringify(json))
  return parsed.ok ? 'ok' : parsed.fault.code === 'genesis.json' ? parsed.fault.place : parsed.fault.code
}

const placeOf = (path: Path): string =>
  path.reduce<string>((place, step) => (typeof step === 'number' ? `${place}[${step}]` : `${place}.${step}`), 'genesis')

/** Every path to a value that is no object and no list. */
function* leaves(item: unknown, path: Path = []): Generator<Path> {
  if (typeof item !== 'object' || item === null) yield path
  else
    for (const [step, value] of Object.entries(item))
      yield* leaves(value, [...path, Array.isArray(item) ? Number(step) : step])
}

/** What a genesis may leave out. */
const OPTIONAL = /^(?:trust|source|feeder|accuracy|reserve_on|seller_proves)$/

test('every value of another type is named by its place, and every one that is missing', () => {
  let seen = 0
  for (const path of leaves(JSON.parse(JSON.stringify(genesisJson(full))))) {
    seen++
    const flag = path.at(-1) === 'seller_proves'
    for (const other of [!flag, null, 'é', -1, 0.5, [], {}])
      assert.is(complaint(path, other), placeOf(path), JSON.stringify(other))
    assert.is(complaint(path, undefined), OPTIONAL.test(String(path.at(-1))) ? 'ok' : placeOf(path))
  }
  assert.ok(seen > 50)
})

test('a field that nobody knows is named in every object of ours, and left alone in those of CometBFT', () => {
  for (const path of [
    ['app_state'],
    ['app_state', 'accounts', 0],
    ['app_state', 'meters', 2],
    ['app_state', 'validators', 3],
    ['app_state', 'staking'],
    ['app_state', 'roles', 0],
    ['app_state', 'peers', 0],
    ['app_state', 'peers', 0, 'anchor'],
  ]) {
    const slip = [...path, 'slash_permile']
    assert.is(complaint(slip, 1), placeOf(slip))
  }
  assert.is(complaint(['consensus_params'], { block: { max_bytes: '1' } }), 'ok')
})

test('a value of the right type that means nothing is refused by the ledger', () => {
  for (const [path, value, expected] of [
    [['app_state', 'staking', 'unit'], '7', 'genesis.staking'],
    [['app_state', 'staking', 'slash_permille'], 1001, 'genesis.staking'],
    [['app_state', 'staking', 'most'], 3, 'genesis.staking'],
    [['app_state', 'validators', 0, 'stake'], '999999', 'genesis.validator'],
    [['app_state', 'roles', 0, 'holder'], '00'.repeat(20), 'genesis.role'],
    [['app_state', 'roles', 0, 'role'], 'king', 'genesis.app_state.roles[0].role'],
    [['app_state', 'reserve_on'], 'grid-3', 'genesis.peer'],
    [['app_state', 'peers', 1, 'chain_id'], 'grid-1', 'genesis.peer'],
  ] as const) {
    assert.is(complaint(path, value), expected)
  }
})

test.run()
