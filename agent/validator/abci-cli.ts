/** Commands for a ledger on CometBFT: `abci`, the application of one node, and `init`, the files of a network. */
import { join, resolve } from 'node:path'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../drivers/crypto/verify-pool.ts'
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import { listenSocket, parseSocketAddress } from '../../drivers/socket/server.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { readTextFile, writeNewTextFiles } from '../../drivers/text-file.ts'
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { LedgerApp } from '../../protocol/ledger/app.ts'
import { checkGenesis, DEFAULT_STAKING, type Genesis } from '../../protocol/ledger/genesis.ts'
import { micros } from '../../protocol/quantity.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { EXIT, type ExitCode, exitOf } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { createAbciHost } from './abci-host.ts'
import { serveAbci } from './abci-server.ts'
import { type EnrolmentOptions, enrolIn, namesAny, readEnrolments } from './enrolments.ts'
import { parseGenesis } from './genesis-json.ts'
import { openLedgerStore, resumeLedger } from './ledger-store.ts'
import { type Network, networkFiles, placeOf, type SecretKey, VALIDATOR_POWER } from './network-files.ts'
import { openSnapshots } from './snapshot-store.ts'

interface AbciWorld {
  readonly terminal: Terminal
  readonly clock: Clock
  readonly timers: Timers
  readonly interrupted: Promise<void>
}

export interface AbciOptions {
  readonly listen: string
  readonly data: string
  readonly snapshotInterval: string
}

const complain = (terminal: Terminal, line: string, exit: ExitCode): ExitCode => {
  terminal.err(`${line}\n`)
  return exit
}

/** Serves the ledger to the CometBFT node beside it until it is interrupted. */
export async function runAbci(options: AbciOptions, world: AbciWorld): Promise<ExitCode> {
  const { terminal, clock, interrupted } = world
  const address = parseSocketAddress(options.listen)
  if (address === undefined) {
    const line = `--listen ${options.listen}: unix:///run/tieline/abci.sock or tcp://127.0.0.1:26658`
    return complain(terminal, line, EXIT.usage)
  }
  const snapshotInterval = /^\d{1,9}$/.test(options.snapshotInterval) ? Number(options.snapshotInterval) : undefined
  if (snapshotInterval === undefined) {
    return complain(
      terminal,
      `--snapshot-interval ${options.snapshotInterval}: a number of blocks, 0 for none`,
      EXIT.usage,
    )
  }
  const log: Log = (level, room, text, fault) => {
    if (level !== 'debug')
      terminal.err(`${level} ${room} ${text}${fault === undefined ? '' : ` ${faultLine(fault)}`}\n`)
  }
  const kept = await openData(options.data, clock)
  if (!kept.ok) return complain(terminal, faultLine(kept.fault), exitOf(kept.fault))
  const { store, snapshots, resumed } = kept.value
  const verifier = createVerifier()
  const cores = createVerifyPool(verifier)
  const host = createAbciHost({ store, snapshots, resumed, verifier, cores, log, snapshotInterval })
  const onBug = (error: unknown) =>
    log('error', 'abci', `a bug of tieline-ledger: ${String((error as Error).stack ?? error)}`)
  const server = await listenSocket(address, connection => {
    serveAbci(connection, host, {
      onException: error => log('error', 'abci', 'the node is told to end', error.fault),
      onBug,
    }).catch(onBug)
  })
  if (!server.ok) {
    await kept.value.close()
    return complain(
      terminal,
      faultLine(server.fault),
      server.fault.code === 'socket.denied' ? EXIT.permission : EXIT.unavailable,
    )
  }
  terminal.out(`abci at ${server.value.address}, ${where(resumed)}; Ctrl-C ends it\n`)
  await interrupted
  await server.value.close()
  await host.settled()
  await kept.value.close()
  return EXIT.ok
}

const where = (resumed: LedgerApp | undefined): string =>
  resumed === undefined ? 'nothing stored yet' : `stored height ${resumed.height}, AppHash ${toHex(resumed.appHash)}`

/** Everything under the data folder. */
async function openData(folder: string, clock: Clock) {
  const ledgerDisk = await openDisk(join(folder, 'ledger'))
  if (!ledgerDisk.ok) return ledgerDisk
  const snapshotDisk = await openDisk(join(folder, 'snapshots'))
  if (!snapshotDisk.ok) return snapshotDisk
  const store = await openLedgerStore({ disk: ledgerDisk.value, clock })
  if (!store.ok) return store
  const resumed = await resumeLedger(store.value)
  if (!resumed.ok) return resumed
  const snapshots = await openSnapshots(snapshotDisk.value)
  if (!snapshots.ok) return snapshots
  const close = async () => {
    await store.value.close()
    await Promise.all([ledgerDisk.value.close(), snapshotDisk.value.close()])
  }
  return ok({ store: store.value, snapshots: snapshots.value, resumed: resumed.value, close })
}

export interface InitOptions extends EnrolmentOptions {
  readonly validators: string
  readonly chain: string
  readonly interval: string
  readonly basePort: string
  readonly hosts?: string
  readonly genesis?: string
  readonly json?: true
}

const BALANCE = micros(1_000_000_000_000n)
/** Of a site that is named, out of nothing but this genesis. */
const SITE_BALANCE = micros(1_000_000_000n)
const FEE = micros(100n)
/** As many as a permissioned network of better machines has, with room. */
const MAX_NODES = 100

/** Writes the files of a fresh network and says how to start it. */
export async function runInit(folder: string, options: InitOptions, { terminal, clock }: AbciWorld): Promise<ExitCode> {
  const plan = await planNetwork(options, clock)
  if (!plan.ok) {
    const { fault } = plan
    const usage = fault.code === 'init.option' || fault.code === 'enrol.option'
    return complain(
      terminal,
      fault.code === 'enrol.option' ? String(fault.hint) : faultLine(fault),
      usage ? EXIT.usage : fault.code.startsWith('genesis.') ? EXIT.configuration : EXIT.io,
    )
  }
  const at = resolve(folder)
  const files = new Map([...networkFiles(plan.value)].map(([path, text]) => [join(at, path), text]))
  const written = await writeNewTextFiles(files)
  if (!written.ok) return complain(terminal, faultLine(written.fault), exitOf(written.fault))
  const { genesis, nodes } = plan.value
  const commands = nodes.map(({ place }, i) => {
    const home = join(at, `node${i}`)
    return {
      host: place.host,
      rpc: `http://${place.host}:${place.rpc}`,
      node_id: toHex(addressOf(nodes[i]!.node.publicKey)),
      abci: `tieline-ledger abci --listen tcp://127.0.0.1:${place.abci} --data ${join(home, 'ledger')}`,
      node: `cometbft start --home ${home}`,
    }
  })
  if (options.json === true) {
    terminal.out(`${JSON.stringify({ chain_id: genesis.chainId, folder: at, nodes: commands })}\n`)
    return EXIT.ok
  }
  const lines = commands.flatMap(({ host, abci, node }, i) => [`node${i} on ${host}:`, `  ${abci} &`, `  ${node} &`])
  terminal.out(`${genesis.chainId}: ${nodes.length} validators in ${at}\nto run next:\n${lines.join('\n')}\n`)
  return EXIT.ok
}

const option = (text: string) => fail<Fault>({ code: 'init.option', hint: text })

function makeKey(): SecretKey {
  const secret = systemEntropy.bytes(32)
  return { secret, publicKey: createSigner(secret).publicKey }
}

async function planNetwork(options: InitOptions, clock: Clock): Promise<Result<Network>> {
  const count = /^\d{1,3}$/.test(options.validators) ? Number(options.validators) : 0
  if (count < 1 || count > MAX_NODES)
    return option(`--validators ${options.validators}: a number from 1 to ${MAX_NODES}`)
  const intervalMs = /^\d{1,7}$/.test(options.interval) ? Number(options.interval) : 0
  if (intervalMs < 1 || intervalMs > 3_600_000) return option(`--interval ${options.interval}: 1 to 3600000 ms`)
  const hosts = options.hosts?.split(',') ?? Array.from({ length: count }, () => '127.0.0.1')
  if (hosts.length !== count) return option(`--hosts names ${hosts.length} hosts for ${count} validators`)
  const bad = hosts.find(host => !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/.test(host))
  if (bad !== undefined) return option(`--hosts ${bad}: names or IPv4 addresses, commas between them`)
  const basePort = /^\d{1,5}$/.test(options.basePort) ? Number(options.basePort) : 0
  const shared = new Set(hosts).size < hosts.length
  if (basePort < 1 || basePort + 10 * count > 65_535) return option(`--base-port ${options.basePort}: too high or none`)
  const operator = options.genesis === undefined ? makeKey() : undefined
  if (operator === undefined && namesAny(options))
    return option('--account, --meter and --role go into the file of --genesis')
  const named = readEnrolments(options)
  if (!named.ok) return named
  const genesis =
    operator === undefined ? await readGenesis(options.genesis!) : freshGenesis(operator, options.chain, clock)
  if (!genesis.ok) return genesis
  const nodes = hosts.map((host, i) => ({
    place: placeOf(i, host, shared, basePort),
    validator: makeKey(),
    node: makeKey(),
  }))
  const staked = stakeValidators(enrolIn(genesis.value, named.value, SITE_BALANCE), nodes)
  return staked.ok ? ok({ genesis: staked.value, operator, nodes, intervalMs }) : staked
}

/** The nodes' validators in the ledger's genesis, each with a stake of the operator's, who may hand it on. */
function stakeValidators(genesis: Genesis, nodes: Network['nodes']): Result<Genesis> {
  if (genesis.validators !== undefined) {
    const hint = 'init makes the validators and their keys: leave them out of the file'
    return fail({ code: 'genesis.validators', validators: genesis.validators.length, hint })
  }
  const { unit } = genesis.staking ?? DEFAULT_STAKING
  const stake = micros(unit * BigInt(VALIDATOR_POWER))
  const validators = nodes.map(({ validator }) => ({ publicKey: validator.publicKey, owner: genesis.operator, stake }))
  return checkGenesis({ ...genesis, validators })
}

async function readGenesis(file: string): Promise<Result<Genesis>> {
  const text = await readTextFile(file)
  return text.ok ? parseGenesis(text.value) : text
}

/** One account, the operator's, with all the money there is; it enrols the others. */
function freshGenesis({ publicKey }: SecretKey, chainId: string, clock: Clock): Result<Genesis> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/.test(chainId)) {
    return option(`--chain ${chainId}: 1 to 50 letters, digits, dots, hyphens`)
  }
  const operator = addressOf(publicKey)
  const accounts = [{ publicKey, balance: BALANCE }]
  return ok({ chainId, time: clock.now(), fee: FEE, feeAccount: operator, operator, accounts, meters: [] })
}
