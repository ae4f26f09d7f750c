/** `tieline-ledger init` and `abci` as a person meets them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tielineLedger } from '../../../agent/validator/cli.ts'
import { genesisJson, parseGenesis } from '../../../agent/validator/genesis-json.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { fromBase64 } from '../../../protocol/chain/base64.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { genesisValidatorsFault } from '../../../protocol/ledger/genesis.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { genesis, seller } from '../../protocol/ledger/parties.ts'
import { COMMIT, dialAbci, exceptionOf, fieldsIn, finalize, INFO, initChain, testBlock } from './abci-client.ts'

const test = suite('tieline-ledger abci and init')
const { clock, timers } = createSystemTime()
const folder = mkdtempSync(join(tmpdir(), 'tieline-init-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

function start(...args: string[]) {
  const said = { out: '', err: '' }
  let interrupt: () => void = () => {}
  const interrupted = new Promise<void>(resolve => {
    interrupt = resolve
  })
  const out = (text: string) => {
    said.out += text
  }
  const err = (text: string) => {
    said.err += text
  }
  const exit = tielineLedger(args, { terminal: { out, err, colour: false, env: {} }, clock, timers, interrupted })
  return { said, exit, interrupt: () => interrupt() }
}

async function run(...args: string[]) {
  const { said, exit, interrupt } = start(...args)
  interrupt()
  return { exit: await exit, ...said }
}

// biome-ignore lint/suspicious/noExplicitAny: the files' shape is what is judged here.
const json = (...path: string[]): any => JSON.parse(readFileSync(join(folder, ...path), 'utf8'))

test('init writes a whole network, keys that fit and no more than their owner may read', async () => {
  const made = await run(
    'init',
    join(folder, 'a'),
    '--validators',
    '4',
    '--chain',
    'street-1',
    '--interval',
    '250',
    '--json',
  )
  assert.is(made.exit, EXIT.ok)
  const said = JSON.parse(made.out)
  assert.is(said.chain_id, 'street-1')
  const begin = json('a', 'genesis.json')
  const parsed = must(parseGenesis(JSON.stringify(begin)))
  const named = begin.validators.map(({ pub_key, power }: { pub_key: { value: string }; power: string }) => ({
    publicKey: fromBase64(pub_key.value)!,
    power: BigInt(power),
  }))
  assert.is(named.length, 4)
  assert.is(genesisValidatorsFault(parsed, named), undefined)
  const ids = said.nodes.map(({ node_id }: { node_id: string }) => node_id)
  const ports = new Set<string>()
  for (const i of [0, 1, 2, 3]) {
    const node = `node${i}`
    assert.equal(json('a', node, 'config', 'genesis.json'), begin)
    const key = json('a', node, 'config', 'priv_validator_key.json')
    const secret = fromBase64(key.priv_key.value)!
    const { publicKey } = createSigner(secret.slice(0, 32))
    assert.is(toHex(publicKey), toHex(named[i].publicKey))
    assert.is(toHex(secret.slice(32)), toHex(publicKey))
    assert.is(key.address, toHex(addressOf(publicKey)).toUpperCase())
    const nodeSecret = fromBase64(json('a', node, 'config', 'node_key.json').priv_key.value)!
    assert.is(toHex(addressOf(createSigner(nodeSecret.slice(0, 32)).publicKey)), ids[i])
    assert.equal(json('a', node, 'data', 'priv_validator_state.json'), { height: '0', round: 0, step: 0 })
    const config = readFileSync(join(folder, 'a', node, 'config', 'config.toml'), 'utf8')
    assert.match(config, /^timeout_commit = "250ms"$/m)
    const peers = /^persistent_peers = "(.*)"$/m.exec(config)![1]!.split(',')
    assert.equal(
      peers.map(peer => peer.split('@')[0]),
      ids.filter((id: string) => id !== ids[i]),
    )
    for (const [, port] of config.matchAll(/^(?:proxy_app|laddr) = "tcp:\/\/127\.0\.0\.1:(\d+)"$/gm)) ports.add(port!)
    for (const file of readdirSync(join(folder, 'a', node, 'config'))) {
      assert.is(statSync(join(folder, 'a', node, 'config', file)).mode & 0o077, 0, file)
    }
  }
  assert.is(ports.size, 12)
})

test('init overwrites nothing', async () => {
  const before = readFileSync(join(folder, 'a', 'genesis.json'), 'utf8')
  const again = await run('init', join(folder, 'a'))
  assert.is(again.exit, EXIT.io)
  assert.match(again.err, /^file\.exists .*genesis\.json.*: nothing is overwritten/)
  assert.is(readFileSync(join(folder, 'a', 'genesis.json'), 'utf8'), before)
  // A file in the middle of the list: nothing of the others is written either.
  writeFileSync(join(folder, 'operator_key.json'), 'mine')
  const beside = await run('init', folder)
  assert.is(beside.exit, EXIT.io)
  assert.is(readFileSync(join(folder, 'operator_key.json'), 'utf8'), 'mine')
  assert.not(existsSync(join(folder, 'genesis.json')))
})

test('init says how to start each node, and takes hosts and a genesis', async () => {
  const file = join(folder, 'begin.json')
  writeFileSync(file, JSON.stringify(genesisJson(genesis)))
  const made = await run(
    'init',
    join(folder, 'b'),
    '--hosts',
    '10.0.0.1,10.0.0.2',
    '--validators',
    '2',
    '--genesis',
    file,
  )
  assert.is(made.exit, EXIT.ok)
  assert.match(
    made.out,
    /node1 on 10\.0\.0\.2:\n {2}tieline-ledger abci --listen tcp:\/\/127\.0\.0\.1:26658 --data .*\/node1\/ledger &\n {2}cometbft start --home .*\/node1 &/,
  )
  const config = readFileSync(join(folder, 'b', 'node0', 'config', 'config.toml'), 'utf8')
  assert.match(config, /persistent_peers = "[0-9a-f]{40}@10\.0\.0\.2:26656"/)
  assert.match(config, /laddr = "tcp:\/\/0\.0\.0\.0:26656"/)
  assert.not(existsSync(join(folder, 'b', 'operator_key.json')))
  assert.equal(must(parseGenesis(JSON.stringify(json('b', 'genesis.json')))).accounts, genesis.accounts)
})

test('what is asked wrongly is answered in one line', async () => {
  const file = join(folder, 'staked.json')
  writeFileSync(
    file,
    JSON.stringify(
      genesisJson({
        ...genesis,
        validators: [{ publicKey: seller.publicKey, owner: seller.address, stake: 10_000_000n as never }],
      }),
    ),
  )
  for (const [args, exit, says] of [
    [['init', join(folder, 'x'), '--validators', '0'], EXIT.usage, /--validators 0: a number/],
    [['init', join(folder, 'x'), '--validators', '22'], EXIT.configuration, /^genesis\./],
    [['init', join(folder, 'x'), '--hosts', 'a,b'], EXIT.usage, /--hosts names 2 hosts for 4/],
    [['init', join(folder, 'x'), '--hosts', 'a,b,c,"'], EXIT.usage, /--hosts ":/],
    [['init', join(folder, 'x'), '--chain', 'a b'], EXIT.usage, /--chain a b:/],
    [['init', join(folder, 'x'), '--base-port', '65530'], EXIT.usage, /--base-port 65530/],
    [['init', join(folder, 'x'), '--genesis', join(folder, 'none')], EXIT.io, /^file\.missing /],
    [['init', join(folder, 'x'), '--genesis', file], EXIT.configuration, /^genesis\.validators /],
    [['init'], EXIT.usage, /missing required argument/],
    [['abci', '--listen', 'http://x', '--data', folder], EXIT.usage, /--listen http:\/\/x:/],
    [
      ['abci', '--listen', 'tcp://127.0.0.1:0', '--data', folder, '--snapshot-interval', 'x'],
      EXIT.usage,
      /--snapshot-interval x/,
    ],
    [
      ['abci', '--listen', `unix://${folder}/none/a.sock`, '--data', join(folder, 'd')],
      EXIT.unavailable,
      /^socket\.no-folder /,
    ],
    [['abci', '--listen', 'tcp://127.0.0.1:0', '--data', join(folder, 'begin.json', 'd')], EXIT.io, /^disk\./],
  ] as const) {
    const said = await run(...args)
    assert.is(said.exit, exit, `${args.join(' ')}: ${said.err}`)
    assert.match(said.err, says)
    assert.is(said.err.trim().split('\n').length, 1)
    assert.not(existsSync(join(folder, 'x')))
  }
})

test('abci serves, keeps what it committed, and says on the next start where it stands', async () => {
  const at = `unix://${join(folder, 'abci.sock')}`
  const serve = async () => {
    const program = start('abci', '--listen', at, '--data', join(folder, 'data'))
    while (!program.said.out.includes('abci at')) await timers.sleep(10)
    return program
  }
  const first = await serve()
  assert.match(first.said.out, /nothing stored yet/)
  const client = await dialAbci(at)
  const begin = genesis.time
  const [, finalized, committed] = await client.call(initChain(genesis), finalize(testBlock(1n, begin, [])), COMMIT)
  assert.is(committed!.number, 12)
  // A second program finds the place taken.
  const second = await run('abci', '--listen', at, '--data', join(folder, 'data2'))
  assert.is(second.exit, EXIT.unavailable)
  assert.match(second.err, /^socket\.busy /)
  first.interrupt()
  assert.is(await first.exit, EXIT.ok)
  await client.ended

  const again = await serve()
  assert.match(again.said.out, new RegExp(`stored height 1, AppHash ${toHex(fieldsIn(finalized!, { 5: 'bytes' })[5])}`))
  const other = await dialAbci(at)
  assert.is(fieldsIn((await other.call(INFO))[0]!, { 4: 'varint' })[4], 1n)
  assert.match(exceptionOf((await other.call(initChain(genesis)))[0]!), /^abci\.begun /)
  again.interrupt()
  assert.is(await again.exit, EXIT.ok)
  assert.match(again.said.err, /error abci the node is told to end abci\.begun/)
}, 60_000)

test.run()
