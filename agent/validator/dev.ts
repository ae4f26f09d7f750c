/** `tieline-ledger dev`: a ledger with all its validators in this process, in memory or in a folder. */
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../drivers/crypto/verify-pool.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Clock, Disk, Timers } from '../../drivers/ports.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { micros } from '../../protocol/quantity.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { EXIT, type ExitCode, exitOf } from '../cli/exit-codes.ts'
import type { Terminal } from '../cli/terminal.ts'
import { secretFromSeed } from '../keys.ts'
import { type ChainStore, openChainStore } from './chain-store.ts'
import { genesisJson, parseGenesis } from './genesis-json.ts'
import { createProducer } from './producer.ts'
import { RPC_BODY_LIMIT, rpcRoutes, rpcSockets } from './rpc.ts'

/** What the command uses of the machine, and the moment at which somebody wants it to end. */
interface DevWorld {
  readonly terminal: Terminal
  readonly clock: Clock
  readonly timers: Timers
  readonly interrupted: Promise<void>
}

export interface DevOptions {
  readonly port: string
  readonly chain: string
  readonly interval: string
  readonly seed: string
  readonly genesis?: string
  readonly data?: string
}

/** Faults of one third of the power are outvoted from four validators up. */
const VALIDATORS = 4
const DEV_ACCOUNTS = 5
const DEV_BALANCE = micros(1_000_000_000n)
const DEV_FEE = micros(100n)
const GENESIS = 'genesis.json'

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  return value >= least && value <= most ? value : undefined
}

export async function runDev(options: DevOptions, world: DevWorld): Promise<ExitCode> {
  const { terminal, clock, timers, interrupted } = world
  const complain = (line: string, exit: ExitCode) => {
    terminal.err(`${line}\n`)
    return exit
  }
  const port = wholeNumber(options.port, 0, 65_535)
  if (port === undefined) return complain(`--port ${options.port}: a number from 0 to 65535`, EXIT.usage)
  const intervalMs = wholeNumber(options.interval, 10, 3_600_000)
  if (intervalMs === undefined) return complain(`--interval ${options.interval}: 10 to 3600000 ms`, EXIT.usage)
  const seedOf = (owner: string) => sha256(utf8(`tieline dev ${options.seed} ${owner}`))
  const chosen = await genesisOf(options, seedOf, clock)
  if (!chosen.ok) return complain(chosen.line, chosen.exit)

  const folder = options.data === undefined ? ok(undefined) : await openFolder(options.data, chosen, clock)
  if (!folder.ok) {
    const { fault } = folder
    return complain(faultLine(fault), /^(chain|genesis)\./.test(fault.code) ? EXIT.configuration : exitOf(fault))
  }
  const genesis = folder.value?.genesis ?? chosen.value
  const signers = Array.from({ length: VALIDATORS }, (_, i) => createSigner(seedOf(`validator ${i}`)))
  const onFault = (fault: Fault) => terminal.err(`no block: ${faultLine(fault)}\n`)
  const verifier = createVerifier()
  const store = folder.value === undefined ? {} : { store: folder.value.store }
  const cores = createVerifyPool(verifier)
  const producer = createProducer({ genesis, signers, clock, timers, verifier, cores, intervalMs, onFault, ...store })
  const onBug = (error: unknown) =>
    terminal.err(`a bug of tieline-ledger: ${String((error as Error).stack ?? error)}\n`)
  const server = await serveHttp({
    port,
    routes: rpcRoutes(producer, timers),
    sockets: rpcSockets(producer, timers),
    bodyLimit: RPC_BODY_LIMIT,
    onBug,
  })
  if (!server.ok) {
    await folder.value?.close()
    return complain(faultLine(server.fault), EXIT.unavailable)
  }
  await producer.produce()
  producer.start()
  terminal.out(`${genesis.chainId} at ${server.value.url}, a block every ${intervalMs} ms; Ctrl-C ends it\n`)
  const first = await producer.fetchBlock(1n)
  if (first.ok && first.value !== undefined) {
    terminal.out(`trust: height 1, hash ${toHex(first.value.blockId.hash)}\n`)
  }
  await interrupted
  await producer.stop()
  await server.value.close()
  const { problems } = producer.audit()
  await folder.value?.close()
  for (const problem of problems) terminal.err(`${faultLine(problem)}\n`)
  return problems.length === 0 ? EXIT.ok : EXIT.no
}

interface LedgerFolder {
  /** With which the chain of this folder began. */
  readonly genesis: Genesis
  readonly store: ChainStore
  close(): Promise<void>
}

/** The folder of one ledger, held by this process alone; what is there already counts, not what would be made. */
async function openFolder(
  path: string,
  chosen: { readonly value: Genesis; readonly named: boolean },
  clock: Clock,
): Promise<Result<LedgerFolder>> {
  const root = await openDisk(path)
  if (!root.ok) return root
  const held = await root.value.hold('ledger')
  if (!held.ok) return held
  const disks: { close(): Promise<void> }[] = [root.value]
  const close = async () => {
    for (const disk of disks) await disk.close()
    await held.value()
  }
  const store = await (async () => {
    const genesis = await keptGenesis(root.value, chosen)
    if (!genesis.ok) return genesis
    const blocks = await openDisk(`${path}/blocks`)
    if (!blocks.ok) return blocks
    const state = await openDisk(`${path}/state`)
    if (!state.ok) return state
    disks.push(blocks.value, state.value)
    const ports = { root: root.value, blocks: blocks.value, state: state.value, clock, verifier: createVerifier() }
    const opened = await openChainStore(ports, genesis.value)
    if (!opened.ok) return opened
    disks.unshift(opened.value)
    return ok({ genesis: genesis.value, store: opened.value })
  })()
  if (store.ok) return ok({ ...store.value, close })
  await close()
  return store
}

async function keptGenesis(
  root: Disk,
  { value, named }: { readonly value: Genesis; readonly named: boolean },
): Promise<Result<Genesis>> {
  const text = JSON.stringify(genesisJson(value))
  const kept = await root.read(GENESIS)
  if (!kept.ok) {
    if (kept.fault.code !== 'disk.missing') return kept
    const written = await root.replace(GENESIS, utf8(text))
    return written.ok ? ok(value) : written
  }
  const parsed = parseGenesis(fromUtf8(kept.value) ?? '')
  if (!parsed.ok) return parsed
  if (named && JSON.stringify(genesisJson(parsed.value)) !== text) {
    const hint = 'the folder holds a ledger that began otherwise: leave --genesis away or choose another folder'
    return fail({ code: 'chain.other-genesis', expected: value.chainId, found: parsed.value.chainId, hint })
  }
  return parsed
}

type GenesisChoice =
  | { readonly ok: true; readonly value: Genesis; readonly named: boolean }
  | { readonly ok: false; readonly line: string; readonly exit: ExitCode }

/** The genesis of a file, or one of an operator and a few rich accounts. */
async function genesisOf(
  { genesis: file, chain }: DevOptions,
  seedOf: (owner: string) => Uint8Array,
  clock: Clock,
): Promise<GenesisChoice> {
  if (file !== undefined) {
    const text = await readTextFile(file)
    if (!text.ok) return { ok: false, line: faultLine(text.fault), exit: EXIT.io }
    const parsed = parseGenesis(text.value)
    return parsed.ok
      ? { ...parsed, named: true }
      : { ok: false, line: `${file}: ${faultLine(parsed.fault)}`, exit: EXIT.configuration }
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/.test(chain)) {
    return { ok: false, line: `--chain ${chain}: 1 to 50 letters, digits, dots, hyphens`, exit: EXIT.usage }
  }
  const keys = ['operator', ...Array.from({ length: DEV_ACCOUNTS }, (_, i) => `account ${i}`)].map(
    owner => createSigner(secretFromSeed(seedOf(owner), 'account')).publicKey,
  )
  const operator = addressOf(keys[0]!)
  const accounts = keys.map(publicKey => ({ publicKey, balance: DEV_BALANCE }))
  const value = {
    chainId: chain,
    time: clock.now(),
    fee: DEV_FEE,
    feeAccount: operator,
    operator,
    accounts,
    meters: [],
  }
  return { ok: true, value, named: false }
}
