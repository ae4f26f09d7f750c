/** `tieline-ledger` as a person meets it: in this process, over real HTTP. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tielineLedger } from '../../../agent/validator/cli.ts'
import { genesisJson, parseGenesis } from '../../../agent/validator/genesis-json.ts'
import { rpcRoutes } from '../../../agent/validator/rpc.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createRpcClient } from '../../../drivers/headers/rpc-client.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { encode } from '../../../protocol/cbor.ts'
import { toBase64 } from '../../../protocol/chain/base64.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { genesis } from '../../protocol/ledger/parties.ts'
import { makeProducer } from './street.ts'

const inner = suite('tieline-ledger')
const test = (name: string, body: () => void | Promise<void>) => inner(name, body, 60_000)
const { clock, timers } = createSystemTime()

function start(...args: string[]) {
  const said = { out: '', err: '' }
  let interrupt: () => void = () => {}
  const interrupted = new Promise<void>(resolve => {
    interrupt = resolve
  })
  const terminal = {
    out: (text: string) => {
      said.out += text
    },
    err: (text: string) => {
      said.err += text
    },
    colour: false,
    env: {},
  }
  const exit = tielineLedger(args, { terminal, clock, timers, interrupted })
  return { said, exit, interrupt: () => interrupt() }
}

async function run(...args: string[]) {
  const { said, exit, interrupt } = start(...args)
  interrupt()
  return { exit: await exit, ...said }
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await timers.sleep(10)
}

const folder = mkdtempSync(join(tmpdir(), 'tieline-ledger-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

test('dev serves a ledger until it is interrupted, and audit adds it up', async () => {
  const dev = start('dev', '--port', '0', '--interval', '20', '--chain', 'street-7')
  await eventually(() => dev.said.out.includes('trust:'))
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(dev.said.out)![0]
  const rpc = createRpcClient({ url })
  await eventually(async () => must(await rpc.status()).height >= 3n)
  assert.is(must(await rpc.status()).chainId, 'street-7')
  const trusted = /trust: height 1, hash ([0-9a-f]{64})/.exec(dev.said.out)![1]
  assert.is(toHex(must(await rpc.lightBlock(2n)).header.lastBlockId.hash), trusted)

  const plain = await run('audit', url)
  assert.is(plain.exit, EXIT.ok)
  assert.match(
    plain.out,
    /minted 1005000\.000000 {2}balances 1005000\.000000 .* staked 0\.000000 .* reserved 0\.000000 .* residue 0\.000000/,
  )
  assert.match(plain.out, /everything adds up/)
  const json = JSON.parse((await run('audit', url, '--json')).out)
  assert.is(json.ok, true)
  assert.is(json.money.residue, 0)
  assert.equal(json.energy_wh, { contracted: 0, settled: 0, seller_metered: 0, buyer_metered: 0 })

  dev.interrupt()
  assert.is(await dev.exit, EXIT.ok)
  const after = await rpc.status()
  assert.is(after.ok ? '' : after.fault.code, 'rpc.unreachable')
})

test('the same seed makes the same accounts, another one others', async () => {
  const accounts = async (seed: string) => {
    const dev = start('dev', '--port', '0', '--seed', seed)
    await eventually(() => dev.said.out.includes('trust:'))
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(dev.said.out)![0]
    const { result } = (await (await fetch(`${url}/genesis`)).json()) as { result: { genesis: { app_state: unknown } } }
    dev.interrupt()
    await dev.exit
    return JSON.stringify(result.genesis.app_state)
  }
  const [one, two, three] = [await accounts('a'), await accounts('a'), await accounts('b')]
  assert.is(one, two)
  assert.is.not(one, three)
})

test('a chain in a folder goes on where it ended, and the folder has one process and one beginning', async () => {
  const data = join(folder, 'ledger')
  const args = ['dev', '--port', '0', '--interval', '20', '--data', data]
  const one = start(...args)
  await eventually(() => one.said.out.includes('trust:'))
  const urlOf = (out: string) => /http:\/\/127\.0\.0\.1:\d+/.exec(out)![0]
  const rpc = createRpcClient({ url: urlOf(one.said.out) })
  await eventually(async () => must(await rpc.status()).height >= 3n)
  const before = must(await rpc.lightBlock(3n))
  const second = await run(...args)
  assert.is(second.exit, EXIT.unavailable)
  assert.match(second.err, /^disk\.held .*another process writes here/)
  one.interrupt()
  assert.is(await one.exit, EXIT.ok)

  const two = start(...args)
  await eventually(() => two.said.out.includes('trust:'))
  assert.is(/trust: .*/.exec(two.said.out)![0], /trust: .*/.exec(one.said.out)![0])
  const again = createRpcClient({ url: urlOf(two.said.out) })
  assert.equal(must(await again.lightBlock(3n)), before)
  const { height } = must(await again.status())
  assert.ok(height >= 3n)
  await eventually(async () => must(await again.status()).height > height)
  assert.match((await run('audit', urlOf(two.said.out))).out, /everything adds up/)
  two.interrupt()
  assert.is(await two.exit, EXIT.ok)

  const other = await run(...args, '--genesis', write('other.json', JSON.stringify(genesisJson(genesis))))
  assert.is(other.exit, EXIT.configuration)
  assert.match(other.err, /^chain\.other-genesis .*leave --genesis away/)
})

test('a state is exported as lines that make its AppHash, from a node and from its folder', async () => {
  const data = join(folder, 'exported')
  const dev = start('dev', '--port', '0', '--interval', '20', '--data', data)
  await eventually(() => dev.said.out.includes('trust:'))
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(dev.said.out)![0]
  const rpc = createRpcClient({ url })
  await eventually(async () => must(await rpc.status()).height >= 3n)
  const rebuilt = (text: string) => {
    const [head, ...lines] = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const entries = lines.map(line => [utf8(line.key), hex(line.value)] as const)
    assert.is(toHex(createStateTree(1).commit(1n, entries)), head.app_hash)
    return { head, lines }
  }
  const node = await run('export', url)
  assert.is(node.exit, EXIT.ok, node.err)
  const { head, lines } = rebuilt(node.out)
  const next = must(await rpc.lightBlock(BigInt(head.height) + 1n))
  assert.is(toHex(next.header.appHash), head.app_hash)
  assert.is(lines.filter(line => line.key.startsWith('account/')).length, 6)
  assert.is(lines.find(line => line.key.startsWith('account/')).record.balance, '1000000000')

  const held = await run('export', '--data', data)
  assert.is(held.exit, EXIT.unavailable)
  assert.match(held.err, /^disk\.held /)
  dev.interrupt()
  await dev.exit
  const out = join(folder, 'state.jsonl')
  const written = await run('export', '--data', data, '--out', out)
  assert.equal([written.exit, written.out, written.err], [EXIT.ok, '', ''])
  const kept = rebuilt(readFileSync(out, 'utf8'))
  assert.ok(BigInt(kept.head.height) >= BigInt(head.height))
  for (const [args, exit, says] of [
    [['--data', data, '--out', out], EXIT.io, /^file\.exists /],
    [['--data', join(folder, 'nowhere')], EXIT.io, /^file\.missing .*genesis\.json/],
    [[], EXIT.usage, /one of them/],
    [[url, '--data', data], EXIT.usage, /one of them/],
    [['nowhere'], EXIT.usage, /give it as/],
    [['http://127.0.0.1:1'], EXIT.unavailable, /^rpc\.unreachable /],
  ] as const) {
    const said = await run('export', ...args)
    assert.is(said.exit, exit, args.join(' '))
    assert.match(said.err, says)
  }
})

test('another seed than the folder began with makes no block, and says so', async () => {
  const data = join(folder, 'seeded')
  const one = start('dev', '--port', '0', '--data', data, '--seed', 'a')
  await eventually(() => one.said.out.includes('trust:'))
  one.interrupt()
  await one.exit
  const two = start('dev', '--port', '0', '--data', data, '--seed', 'b', '--interval', '20')
  await eventually(() => two.said.out.includes('trust:'))
  await eventually(() => two.said.err !== '')
  two.interrupt()
  assert.is(await two.exit, EXIT.ok)
  assert.match(two.said.err, /^(no block: producer\.no-quorum \(height=\d+ power=0 of=40\): .*\n)$/)
})

test('a genesis file is what /genesis shows', async () => {
  assert.equal(must(parseGenesis(JSON.stringify(genesisJson(genesis)))), genesis)
  const dev = start('dev', '--port', '0', '--genesis', write('good.json', JSON.stringify(genesisJson(genesis))))
  await eventually(() => dev.said.out.includes(`${genesis.chainId} at`))
  dev.interrupt()
  assert.is(await dev.exit, EXIT.ok)
})

test('a mistake in a genesis file is named by its place', () => {
  const good = genesisJson(genesis)
  const place = (change: (json: { app_state: Record<string, unknown> } & Record<string, unknown>) => void) => {
    const json = JSON.parse(JSON.stringify(good))
    change(json)
    const parsed = parseGenesis(JSON.stringify(json))
    if (parsed.ok) return 'ok'
    return parsed.fault.code === 'genesis.json' ? parsed.fault.place : parsed.fault.code
  }
  const [account] = good.app_state.accounts
  assert.is(
    place(() => {}),
    'ok',
  )
  assert.is(
    place(json => delete json['chain_id']),
    'genesis.chain_id',
  )
  assert.is(
    place(json => {
      json['genesis_time'] = 'yesterday'
    }),
    'genesis.genesis_time',
  )
  assert.is(
    place(json => {
      json['app_state'] = [] as never
    }),
    'genesis.app_state',
  )
  for (const [field, value, expected] of [
    ['fee', 100, 'genesis.app_state.fee'],
    ['fee', '-1', 'genesis.app_state.fee'],
    ['operator', 'ab', 'genesis.app_state.operator'],
    ['operator', '00'.repeat(20), 'genesis.role'],
    ['accounts', {}, 'genesis.app_state.accounts'],
    ['accounts', [account, 7], 'genesis.app_state.accounts[1]'],
    ['accounts', [account, account], 'genesis.account'],
    ['accounts', [{ ...account, public_key: '*' }], 'genesis.app_state.accounts[0].public_key'],
    ['meters', [{ meter_id: '' }], 'genesis.app_state.meters[0].meter_id'],
  ] as const) {
    const found = place(json => {
      json.app_state[field] = value
    })
    assert.is(found, expected)
  }
  const broken = parseGenesis('{')
  assert.ok(!broken.ok && broken.fault.code === 'genesis.json')
})

test('wrong flags, a busy port and an unreadable file are one line and the right exit code', async () => {
  const dev = start('dev', '--port', '0')
  await eventually(() => dev.said.out.includes('trust:'))
  const port = /127\.0\.0\.1:(\d+)/.exec(dev.said.out)![1]!
  for (const [args, exit, says] of [
    [['dev', '--port', port], EXIT.unavailable, /^http\.port-busy .*choose another port\n$/],
    [['dev', '--port', '70000'], EXIT.usage, /^--port 70000: .*\n$/],
    [['dev', '--port', '0', '--interval', '1'], EXIT.usage, /^--interval 1: .*\n$/],
    [['dev', '--port', '0', '--chain', 'a b'], EXIT.usage, /^--chain a b: .*\n$/],
    [['dev', '--genesis', join(folder, 'none.json')], EXIT.io, /^file\.missing .*\n$/],
    [
      ['dev', '--genesis', write('bad.json', '{}')],
      EXIT.configuration,
      /bad\.json: genesis\.json \(place=genesis\.chain_id /,
    ],
    [['audit', 'nowhere'], EXIT.usage, /^audit\.url .*\n$/],
    [['audit', 'http://127.0.0.1:1'], EXIT.unavailable, /^rpc\.unreachable .*\n$/],
    [['audit'], EXIT.usage, /missing required argument/],
    [['dve'], EXIT.usage, /Did you mean dev\?/],
    [[], EXIT.usage, /Usage: tieline-ledger/],
  ] as const) {
    const said = await run(...args)
    assert.is(said.exit, exit, args.join(' '))
    assert.match(said.err, says)
    assert.is(said.out, '')
  }
  dev.interrupt()
  await dev.exit
})

test('help shows examples', async () => {
  for (const command of ['dev', 'audit']) {
    const { exit, out } = await run(command, '--help')
    assert.is(exit, EXIT.ok)
    assert.match(out, new RegExp(`Examples:\\n {2}tieline-ledger ${command}`))
  }
})

test('an audit does not believe a state that the header does not commit to, nor books that do not add up', async () => {
  const { producer, time } = makeProducer()
  for (let i = 0; i < 3; i++) await producer.produce()
  const routes = rpcRoutes(producer, time.timers)
  const served = async (state: Uint8Array) => {
    const server = must(
      await serveHttp({
        port: 0,
        onBug: () => {},
        routes: {
          'POST /': async request => {
            const reply = await routes['POST /']!(request)
            const { method, params } = JSON.parse(Buffer.from(request.body).toString())
            if (method !== 'abci_query') return reply
            // One page, and after it an empty one.
            const value = toBase64(params.data === '' ? state : encode([]))
            return { kind: 'json', status: 200, value: { id: 1, result: { response: { value } } } }
          },
        },
      }),
    )
    const { exit, err } = await run('audit', server.url)
    await server.close()
    return { exit, err }
  }
  const entries = [...producer.entries(2n)!].map(entry => [...entry])
  assert.is((await served(encode(entries))).exit, EXIT.ok)
  const forged = await served(encode(entries.slice(1)))
  assert.is(forged.exit, EXIT.no)
  assert.match(forged.err, /^audit\.app-hash /)
  for (const junk of [encode(7), encode([[1, 2]]), Uint8Array.of(0xff)]) {
    assert.match((await served(junk)).err, /^audit\.no-state /)
  }
})

inner.run()
