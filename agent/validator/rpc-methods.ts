/** The methods of CometBFT's RPC (v0.38) that a light client, a wallet and an audit need, answered from a producer. */
import type { Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { toBase64 } from '../../protocol/chain/base64.ts'
import { proveTx } from '../../protocol/chain/block.ts'
import { chainTime, timeText } from '../../protocol/chain/chain-time.ts'
import { decodeEvidence } from '../../protocol/chain/evidence.ts'
import { evidenceJson, parseEvidence } from '../../protocol/chain/evidence-json.ts'
import { proofJson } from '../../protocol/chain/merkle-proof.ts'
import { commitJson, headerJson, signedHeaderJson, validatorsJson } from '../../protocol/chain/rpc-json.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { TxOutcome } from '../../protocol/ledger/app.ts'
import { MAX_TX_BYTES } from '../../protocol/ledger/tx.ts'
import { faultLine, must, ok } from '../../protocol/result.ts'
import { genesisJson } from './genesis-json.ts'
import { CONSENSUS_LIMITS, type ProducedBlock, type Producer, type TxPlace, VERSION } from './producer.ts'
import { internalError, invalidParams, type RpcParams } from './rpc-params.ts'
import { answerQuery } from './state-query.ts'

export type RpcMethod = (params: RpcParams) => unknown

/** The version whose answers these are. */
const NODE_VERSION = '0.38.25'
const CODESPACE = 'tieline'
/** CometBFT's page sizes for /validators. */
const DEFAULT_PER_PAGE = 30
const MAX_PER_PAGE = 100
/** CometBFT's timeout_broadcast_tx_commit. */
const COMMIT_TIMEOUT_MS = 10_000

/** Of these only the block's limits are hashed into ConsensusHash. */
const CONSENSUS_PARAMS = {
  block: { max_bytes: String(CONSENSUS_LIMITS.maxBytes), max_gas: String(CONSENSUS_LIMITS.maxGas) },
  evidence: { max_age_num_blocks: '100000', max_age_duration: '172800000000000', max_bytes: '1048576' },
  validator: { pub_key_types: ['ed25519'] },
  version: { app: String(VERSION.app) },
  abci: { vote_extensions_enable_height: '0' },
}

const upper = (bytes: Uint8Array): string => toHex(bytes).toUpperCase()

const outcomeJson = (outcome: TxOutcome) => ({
  code: outcome.code,
  data: outcome.data.length === 0 ? null : toBase64(outcome.data),
  log: outcome.log,
  info: '',
  gas_wanted: String(outcome.gasWanted),
  gas_used: String(outcome.gasUsed),
  events: [],
  codespace: outcome.code === 0 ? '' : CODESPACE,
})

const blockIdJson = ({ blockId }: ProducedBlock) =>
  commitJson({ height: 0n, round: 0, blockId, signatures: [] }).block_id

const blockJson = (block: ProducedBlock) => ({
  block_id: blockIdJson(block),
  block: {
    header: headerJson(block.header),
    data: { txs: block.txs.map(toBase64) },
    evidence: { evidence: block.evidence.map(one => evidenceJson(must(decodeEvidence(one)))) },
    last_commit: commitJson(block.lastCommit),
  },
})

export function rpcMethods(producer: Producer, timers: Timers): Readonly<Record<string, RpcMethod>> {
  const { genesis } = producer

  let earliest: ProducedBlock | undefined

  /** Kept here: everybody's first question is for the status, and this block may be on the disk. */
  async function earliestBlock(oldest: bigint): Promise<ProducedBlock | undefined> {
    if (earliest?.header.height !== oldest) {
      const found = await producer.fetchBlock(oldest)
      earliest = found.ok ? found.value : undefined
    }
    return earliest
  }

  /** The block meant, the newest where none is named; refusals in CometBFT's words, which its clients match. */
  async function blockAt(params: RpcParams): Promise<ProducedBlock> {
    const asked = params.integer('height')
    const { height, oldest, newest } = producer.status()
    if (asked !== undefined && asked <= 0n) {
      throw internalError(`height must be greater than 0, but got ${asked}`)
    }
    if (asked !== undefined && asked > height) {
      throw internalError(`height ${asked} must be less than or equal to the current blockchain height ${height}`)
    }
    const found = asked === undefined ? ok(newest) : await producer.fetchBlock(asked)
    if (!found.ok) throw internalError(faultLine(found.fault))
    if (found.value !== undefined) return found.value
    if (asked === undefined) throw internalError('there is no block yet')
    throw internalError(`height ${asked} is not available, lowest height is ${oldest}`)
  }

  function submit(params: RpcParams): { readonly outcome: TxOutcome; readonly hash: Uint8Array } {
    const tx = params.bytes('tx')
    if (tx.length === 0) throw invalidParams('tx is missing')
    if (tx.length > MAX_TX_BYTES) throw internalError(`Tx too large. Max size is ${MAX_TX_BYTES}, but got ${tx.length}`)
    const submission = producer.submit(tx)
    if (submission.kind === 'known') throw internalError('tx already exists in cache')
    if (submission.kind === 'full') {
      throw internalError(`mempool is full: number of txs ${submission.txs} (max: ${submission.limit})`)
    }
    return submission
  }

  const txJson = ({ block, index }: TxPlace, prove: boolean) => {
    const tx = block.txs[index]!
    const found = {
      hash: upper(sha256(tx)),
      height: String(block.header.height),
      index,
      tx_result: outcomeJson(block.results[index]!),
      tx: toBase64(tx),
    }
    if (!prove) return found
    const proof = proofJson(proveTx(block.txs, index))
    return { ...found, proof: { root_hash: upper(block.header.dataHash), data: toBase64(tx), proof } }
  }

  /** Waits until a transaction stands in a block; undefined when it takes too long. */
  const inBlock = (hash: Uint8Array): Promise<TxPlace | undefined> =>
    new Promise(resolve => {
      const done = (place: TxPlace | undefined) => {
        leave()
        giveUp()
        resolve(place)
      }
      const leave = producer.subscribe(() => {
        const place = producer.tx(hash)
        if (place !== undefined) done(place)
      })
      const giveUp = timers.after(COMMIT_TIMEOUT_MS, () => done(undefined))
    })

  return {
    health: () => ({}),

    async status() {
      const { height, oldest, newest } = producer.status()
      const first = await earliestBlock(oldest)
      const time = (block: ProducedBlock | undefined) => timeText(block?.header.time ?? chainTime(genesis.time))
      const hash = (block: ProducedBlock | undefined) => (block === undefined ? '' : upper(block.blockId.hash))
      const appHash = (block: ProducedBlock | undefined) => (block === undefined ? '' : upper(block.header.appHash))
      const [own] = validatorsJson(producer.validators)
      return {
        node_info: {
          protocol_version: { p2p: '8', block: String(VERSION.block), app: String(VERSION.app) },
          id: toHex(producer.validators[0]!.address),
          listen_addr: '',
          network: genesis.chainId,
          version: NODE_VERSION,
          channels: '',
          moniker: 'tieline-ledger',
          other: { tx_index: 'on', rpc_address: '' },
        },
        sync_info: {
          latest_block_hash: hash(newest),
          latest_app_hash: appHash(newest),
          latest_block_height: String(height),
          latest_block_time: time(newest),
          earliest_block_hash: hash(first),
          earliest_app_hash: appHash(first),
          earliest_block_height: String(oldest),
          earliest_block_time: time(first),
          catching_up: false,
        },
        validator_info: { address: own!.address, pub_key: own!.pub_key, voting_power: own!.voting_power },
      }
    },

    commit: async params => ({ signed_header: signedHeaderJson(await blockAt(params)), canonical: true }),
    header: async params => ({ header: headerJson((await blockAt(params)).header) }),
    block: async params => blockJson(await blockAt(params)),

    async validators(params) {
      const block = await blockAt(params)
      const total = block.validators.length
      const wanted = Number(params.integer('per_page') ?? DEFAULT_PER_PAGE)
      const perPage = wanted < 1 ? DEFAULT_PER_PAGE : Math.min(wanted, MAX_PER_PAGE)
      const pages = Math.max(1, Math.ceil(total / perPage))
      const page = Number(params.integer('page') ?? 1)
      if (page < 1 || page > pages) throw internalError(`page should be within [1, ${pages}] range, given ${page}`)
      const validators = validatorsJson(block.validators.slice((page - 1) * perPage, page * perPage))
      return {
        block_height: String(block.header.height),
        validators,
        count: String(validators.length),
        total: String(total),
      }
    },

    async block_results(params) {
      const block = await blockAt(params)
      return {
        height: String(block.header.height),
        txs_results: block.results.length === 0 ? null : block.results.map(outcomeJson),
        finalize_block_events: [],
        validator_updates:
          block.validatorUpdates.length === 0
            ? null
            : block.validatorUpdates.map(({ publicKey, power }) => ({
                pub_key: {
                  Sum: { type: 'tendermint.crypto.PublicKey_Ed25519', value: { ed25519: toBase64(publicKey) } },
                },
                power: String(power),
              })),
        consensus_param_updates: null,
        app_hash: toBase64(block.appHash),
      }
    },

    abci_query(params) {
      const data = params.hex('data')
      const asked = params.integer('height') ?? 0n
      const height = asked === 0n ? producer.status().height : asked
      const prove = params.flag('prove')
      const { code, log, value, ops } = answerQuery(producer, { path: params.text('path'), data, height, prove })
      return {
        response: {
          code,
          log,
          info: '',
          index: '0',
          key: data.length === 0 ? null : toBase64(data),
          value: value === undefined ? null : toBase64(value),
          proofOps:
            ops.length === 0
              ? null
              : { ops: ops.map(op => ({ type: op.type, key: toBase64(op.key), data: toBase64(op.data) })) },
          height: String(height),
          codespace: code === 0 ? '' : CODESPACE,
        },
      }
    },

    tx(params) {
      const hash = params.bytes('hash')
      const place = producer.tx(hash)
      if (place === undefined) throw internalError(`tx (${upper(hash)}) not found`)
      return txJson(place, params.flag('prove'))
    },

    broadcast_tx_sync(params) {
      const { outcome, hash } = submit(params)
      const { code, data, log, codespace } = outcomeJson(outcome)
      return { code, data: data ?? '', log, codespace, hash: upper(hash) }
    },

    broadcast_tx_async(params) {
      const { hash } = submit(params)
      return { code: 0, data: '', log: '', codespace: '', hash: upper(hash) }
    },

    async broadcast_tx_commit(params) {
      const { outcome, hash } = submit(params)
      const checked = { check_tx: outcomeJson(outcome), hash: upper(hash) }
      if (outcome.code !== 0) return { ...checked, tx_result: outcomeJson(outcome), height: '0' }
      const place = await inBlock(hash)
      if (place === undefined) throw internalError('timed out waiting for tx to be included in a block')
      const { tx_result, height } = txJson(place, false)
      return { ...checked, tx_result, height }
    },

    /** What a light client holds against validators: taken into a block where it holds. */
    broadcast_evidence(params) {
      const json = params.json('evidence')
      if (json === undefined) throw invalidParams('evidence is missing')
      const evidence = parseEvidence(json)
      if (!evidence.ok) throw invalidParams(`evidence: ${evidence.fault.place} is not ${evidence.fault.expected}`)
      const taken = producer.report(evidence.value)
      if (!taken.ok) throw internalError(`failed to add evidence: ${faultLine(taken.fault)}`)
      return { hash: toBase64(taken.value) }
    },

    consensus_params: async params => ({
      block_height: String((await blockAt(params)).header.height),
      consensus_params: CONSENSUS_PARAMS,
    }),

    genesis: () => ({
      genesis: {
        ...genesisJson(genesis),
        initial_height: '1',
        consensus_params: CONSENSUS_PARAMS,
        validators: validatorsJson(producer.validators).map(({ address, pub_key, voting_power }, i) => ({
          address,
          pub_key,
          power: voting_power,
          name: `validator ${i}`,
        })),
        app_hash: '',
      },
    }),
  }
}
