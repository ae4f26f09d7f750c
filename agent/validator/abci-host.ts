/**
 * The ledger application behind ABCI 2.0: one application, the four connections of one CometBFT node.
 *
 * What changes the state (InitChain, FinalizeBlock, Commit, a restored snapshot) runs one after the other whichever connection
 * it came by, and so does Info, so that a node that was started again is never told of a height that is about to change.
 * Commit is answered once the block is on the disk: the node then believes that the application will not come back with less.
 */
import type { Log, VerifyPool } from '../../drivers/ports.ts'
import { equalBytes, fromUtf8, toHex } from '../../protocol/bytes.ts'
import { MAX_ABCI_BLOCK_BYTES } from '../../protocol/chain/abci-frame.ts'
import type { AbciRequest } from '../../protocol/chain/abci-request.ts'
import type { AbciResponse, AbciTxResult } from '../../protocol/chain/abci-response.ts'
import { chainTime, instantOf, timeText } from '../../protocol/chain/chain-time.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type BlockOutput, createApp, type LedgerApp, resumeApp, type TxOutcome } from '../../protocol/ledger/app.ts'
import { genesisValidatorsFault } from '../../protocol/ledger/genesis.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { type AbciApplication, AbciException } from './abci-server.ts'
import { parseGenesis } from './genesis-json.ts'
import type { LedgerStore } from './ledger-store.ts'
import { onEveryCore } from './on-every-core.ts'
import { cutState, isItsChunk, isSoundOffer, joinState, SNAPSHOT_FORMAT } from './snapshot-form.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { answerQuery } from './state-query.ts'
import { verifyOnce } from './verify-once.ts'

type Asked<K extends AbciRequest['kind']> = Extract<AbciRequest, { kind: K }>
type Answered<K extends AbciResponse['kind']> = Extract<AbciResponse, { kind: K }>

interface HostOptions {
  readonly store: LedgerStore
  readonly snapshots: SnapshotStore
  /** A ledger that was begun before, as it was found on the disk. */
  readonly resumed: LedgerApp | undefined
  readonly verifier: Verifier
  /** Other cores, for the signatures of whole blocks. */
  readonly cores?: VerifyPool
  readonly log: Log
  /** Blocks between snapshots; 0 makes none. */
  readonly snapshotInterval: number
}

export interface AbciHost extends AbciApplication {
  /** Resolves when nothing is being written any more. */
  settled(): Promise<void>
}

/** Of our own application: it stands in every header, and rises when the same blocks would give another state. */
export const APP_VERSION = 1n
const APP_NAME = 'tieline-ledger'
const CODESPACE = 'tieline'
/** A tag and a length of up to three bytes before each transaction in a block. */
const TX_FRAME_BYTES = 4
/** Answer to InsertTx: transactions go through the node's own mempool, not an application's. */
const NO_APP_MEMPOOL = 1
const NOTHING = new Uint8Array(0)

interface Restoring {
  readonly offer: NonNullable<Asked<'offerSnapshot'>['snapshot']>
  readonly appHash: Uint8Array
  readonly chunks: (Uint8Array | undefined)[]
}

export function createAbciHost(options: HostOptions): AbciHost {
  const { store, snapshots, log, snapshotInterval, cores } = options
  const verifier = verifyOnce(options.verifier)
  let app = options.resumed
  let executed: { readonly hash: Uint8Array; readonly height: bigint; readonly output: BlockOutput } | undefined
  let restoring: Restoring | undefined
  let last: Promise<unknown> = Promise.resolve()
  let making: Promise<void> | undefined
  /** Code of the trouble of which the operator was told last. */
  let told: string | undefined

  /** Runs after everything that was asked for before it. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }

  function begun(): LedgerApp {
    if (app === undefined) throw new AbciException({ code: 'abci.not-begun' })
    return app
  }

  function info(): Answered<'info'> {
    const height = app?.height ?? 0n
    // At height 0 the node calls InitChain whatever we say of a hash; what it answers there counts.
    const appHash = height === 0n ? NOTHING : begun().appHash
    return { kind: 'info', data: APP_NAME, version: '1', appVersion: APP_VERSION, height, appHash }
  }

  async function initChain(request: Asked<'initChain'>): Promise<Answered<'initChain'>> {
    const refuse = (fault: Fault) => new AbciException(fault)
    if (app !== undefined && app.height > 0n) throw refuse({ code: 'abci.begun', height: app.height })
    const { chainId, initialHeight, maxBlockBytes } = request
    if (initialHeight !== 1n) throw refuse({ code: 'abci.initial-height', expected: 1, received: initialHeight })
    if (maxBlockBytes !== undefined && (maxBlockBytes < 1n || maxBlockBytes > MAX_ABCI_BLOCK_BYTES)) {
      const hint = 'set consensus_params.block.max_bytes in genesis.json'
      throw refuse({ code: 'abci.block-bytes', limit: MAX_ABCI_BLOCK_BYTES, received: maxBlockBytes, hint })
    }
    const genesis = parseGenesis(genesisText(request))
    if (!genesis.ok) throw refuse(genesis.fault)
    const drift = genesisValidatorsFault(genesis.value, request.validators)
    if (drift !== undefined) throw refuse(drift)
    const made = createApp(genesis.value)
    const state = { entries: made.entries(0n)!, headerHashes: [] }
    const saved = await store.replaceWith({ height: 0n, appHash: made.appHash, state })
    if (!saved.ok) throw refuse(saved.fault)
    app = made
    executed = undefined
    log('info', 'abci', `${chainId} begins with AppHash ${toHex(made.appHash)}`)
    return { kind: 'initChain', validators: [], appHash: made.appHash }
  }

  async function finalizeBlock(request: Asked<'finalizeBlock'>): Promise<Answered<'finalizeBlock'>> {
    const { txs, height, time, hash, misbehaviour } = request
    const ledger = begun()
    if (height !== ledger.height + 1n) {
      throw new AbciException({ code: 'abci.height', expected: ledger.height + 1n, received: height })
    }
    const at = instantOf(time)
    // Equal only in the first block, which carries the genesis time.
    if (at < ledger.time || (at === ledger.time && height > 1n)) {
      throw new AbciException({ code: 'abci.time', after: timeText(chainTime(ledger.time)), received: timeText(time) })
    }
    if (hash.length !== 32) throw new AbciException({ code: 'abci.hash', bytes: hash.length })
    const misbehaved = misbehaviour.map(({ address }) => address)
    for (const { type, address, height: when } of misbehaviour) {
      log('warn', 'abci', `validator ${toHex(address)} misbehaved at height ${when}: ${type}`)
    }
    const block = { height, time: at, hash, txs, misbehaved }
    const output = await onEveryCore(cores, verifier, each => ledger.finalizeBlock({ ...block, verifier: each }))
    executed = { hash: hash.slice(), height, output }
    const { results, validatorUpdates, appHash } = output
    return { kind: 'finalizeBlock', results: results.map(resultOf), validatorUpdates, appHash }
  }

  async function commit(): Promise<Answered<'commit'>> {
    const ledger = begun()
    if (executed === undefined) throw new AbciException({ code: 'abci.nothing-executed', height: ledger.height })
    const { hash, height, output } = executed
    const { appHash, changes } = output
    const saved = await store.commit({ height, hash, appHash, changes })
    // Not on the disk: the state stays what it was, and the node that ends now will bring the block again.
    if (!saved.ok) throw new AbciException(saved.fault)
    ledger.commit()
    executed = undefined
    warnOfTrouble()
    if (snapshotInterval > 0 && height % BigInt(snapshotInterval) === 0n) startSnapshot(ledger)
    return { kind: 'commit', retainHeight: 0n }
  }

  /** Once when something is wrong with the disk that does not stop it yet, and once when that is over. */
  function warnOfTrouble(): void {
    const trouble = store.health()
    if (trouble?.code === told) return
    told = trouble?.code
    if (trouble === undefined) log('info', 'abci', 'the ledger on the disk is well again')
    else log('warn', 'abci', 'the ledger on the disk will stop one day:', trouble)
  }

  /** Made beside the work, a chunk at a time; given up when the state is too old to be read before the last chunk is cut. */
  function startSnapshot(ledger: LedgerApp): void {
    if (making !== undefined) return log('warn', 'abci', `no snapshot at ${ledger.height}: one is still being made`)
    const { height } = ledger
    const state = { entries: ledger.entries(height)!, headerHashes: ledger.headerHashes(height)! }
    function* chunks(): Generator<Uint8Array> {
      const cut = cutState(state)
      for (;;) {
        // Blocks may have come while the last chunk was written; the state would be read on here.
        if (ledger.entries(height) === undefined) throw new TooOld()
        const next = cut.next()
        if (next.done === true) return
        yield next.value
      }
    }
    making = snapshots
      .keep(height, chunks())
      .then(kept => {
        if (kept.ok) log('info', 'abci', `snapshot at ${height}`)
        else log('warn', 'abci', `no snapshot at ${height}`, kept.fault)
      })
      .catch(error => {
        if (!(error instanceof TooOld)) throw error
        log('warn', 'abci', `no snapshot at ${height}: blocks came faster than it could be written`)
      })
      .finally(() => {
        making = undefined
      })
  }

  /** Nearly all of these were checked when they came: no other core is asked. */
  function prepareProposal({ txs, height, time, maxTxBytes }: Asked<'prepareProposal'>): Answered<'prepareProposal'> {
    const room = Number(maxTxBytes) - TX_FRAME_BYTES * txs.length
    return { kind: 'prepareProposal', txs: begun().selectTxs({ txs, height, time: instantOf(time), verifier }, room) }
  }

  async function processProposal(request: Asked<'processProposal'>): Promise<Answered<'processProposal'>> {
    const { txs, height, time } = request
    const ledger = begun()
    const block = { txs, height, time: instantOf(time) }
    const judged = await onEveryCore(cores, verifier, each => ledger.judgeTxs({ ...block, verifier: each }))
    if (!judged.ok) log('warn', 'abci', `proposal at height ${height} refused: ${faultLine(judged.fault)}`)
    return { kind: 'processProposal', accept: judged.ok }
  }

  function query({ data, path, height: asked, prove }: Asked<'query'>): Answered<'query'> {
    const height = asked === 0n ? (app?.height ?? 0n) : asked
    const { code, log: line, value, ops } = answerQuery(app, { path, data, height, prove })
    const codespace = code === 0 ? '' : CODESPACE
    return { kind: 'query', code, log: line, key: data, value, proof: ops, height, codespace }
  }

  function offerSnapshot({ snapshot, appHash }: Asked<'offerSnapshot'>): Answered<'offerSnapshot'> {
    restoring = undefined
    if (snapshot === undefined) return { kind: 'offerSnapshot', result: 'reject' }
    if (snapshot.format !== SNAPSHOT_FORMAT) return { kind: 'offerSnapshot', result: 'rejectFormat' }
    if (!isSoundOffer(snapshot) || appHash.length !== 32) return { kind: 'offerSnapshot', result: 'reject' }
    const offer = { ...snapshot, hash: snapshot.hash.slice(), metadata: snapshot.metadata.slice() }
    restoring = { offer, appHash: appHash.slice(), chunks: new Array(snapshot.chunks).fill(undefined) }
    log('info', 'abci', `restoring the state after height ${offer.height} from ${offer.chunks} chunks`)
    return { kind: 'offerSnapshot', result: 'accept' }
  }

  async function applyChunk(request: Asked<'applySnapshotChunk'>): Promise<Answered<'applySnapshotChunk'>> {
    const { index, chunk, sender } = request
    const answer = (result: Answered<'applySnapshotChunk'>['result']) =>
      ({ kind: 'applySnapshotChunk', result, refetch: [], rejectSenders: [] }) as const
    if (restoring === undefined) return answer('abort')
    const { offer, chunks, appHash } = restoring
    if (index >= offer.chunks) return answer('rejectSnapshot')
    if (!isItsChunk(offer, index, chunk)) {
      log('warn', 'abci', `peer ${sender} sent another chunk than number ${index} of the snapshot`)
      return { ...answer('retry'), refetch: [index], rejectSenders: sender === '' ? [] : [sender] }
    }
    chunks[index] = chunk.slice()
    if (chunks.includes(undefined)) return answer('accept')
    restoring = undefined
    const restored = await restore(offer.height, appHash, chunks as Uint8Array[])
    if (restored.ok) return answer('accept')
    log(
      'warn',
      'abci',
      `the snapshot of height ${offer.height} is not the state that the chain agreed on`,
      restored.fault,
    )
    return answer('rejectSnapshot')
  }

  async function restore(height: bigint, appHash: Uint8Array, chunks: readonly Uint8Array[]): Promise<Result<void>> {
    const state = joinState(chunks)
    if (!state.ok) return state
    const made = resumeApp(state.value)
    if (!made.ok) return made
    const { appHash: computed, height: at } = made.value
    if (!equalBytes(computed, appHash) || at !== height) {
      const compared = { expected: toHex(appHash), computed: toHex(computed), height, found: at }
      return fail({ code: 'snapshot.app-hash', ...compared })
    }
    const saved = await store.replaceWith({ height, appHash, state: state.value })
    if (!saved.ok) throw new AbciException(saved.fault)
    app = made.value
    executed = undefined
    return ok(undefined)
  }

  const host: AbciHost = {
    async answer(request) {
      switch (request.kind) {
        case 'echo':
          return { kind: 'echo', message: request.message }
        case 'flush':
          return { kind: 'flush' }
        case 'info':
          return inTurn(async () => info())
        case 'initChain':
          return inTurn(() => initChain(request))
        case 'finalizeBlock':
          return inTurn(() => finalizeBlock(request))
        case 'commit':
          return inTurn(commit)
        case 'applySnapshotChunk':
          return inTurn(() => applyChunk(request))
        case 'offerSnapshot':
          return inTurn(async () => offerSnapshot(request))
        case 'query':
          return query(request)
        case 'checkTx':
          return { kind: 'checkTx', ...resultOf(begun().checkTx(request.tx, verifier)) }
        case 'prepareProposal':
          return inTurn(async () => prepareProposal(request))
        case 'processProposal':
          return inTurn(() => processProposal(request))
        case 'listSnapshots':
          return { kind: 'listSnapshots', snapshots: snapshots.list() }
        case 'loadSnapshotChunk': {
          const { height, format, chunk } = request
          return { kind: 'loadSnapshotChunk', chunk: (await snapshots.chunk(height, format, chunk)) ?? NOTHING }
        }
        // Votes carry nothing of ours, and whatever another version puts into them is no reason to lose a vote.
        case 'extendVote':
          return { kind: 'extendVote', extension: NOTHING }
        case 'verifyVoteExtension':
          return { kind: 'verifyVoteExtension', accept: true }
        case 'insertTx':
          return { kind: 'insertTx', code: NO_APP_MEMPOOL }
        case 'reapTxs':
          return { kind: 'reapTxs', txs: [] }
      }
    },
    async settled() {
      await last
      await making
    },
  }
  return host
}

class TooOld extends Error {}

const resultOf = ({ code, data, gasWanted, gasUsed, log }: TxOutcome): AbciTxResult => {
  return { code, data, gasWanted, gasUsed, log, codespace: code === 0 ? '' : CODESPACE }
}

/** CometBFT hands over the parts of genesis.json; the reader of genesis files takes them as one. */
function genesisText({ chainId, time, appState }: Asked<'initChain'>): string {
  const text = fromUtf8(appState)
  let app_state: unknown
  try {
    app_state = JSON.parse(text ?? '')
  } catch {
    // No JSON, as an empty app_state is none: the reader says what is missing.
    app_state = undefined
  }
  return JSON.stringify({ chain_id: chainId, genesis_time: timeText(time), app_state })
}
