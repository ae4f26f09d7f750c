/**
 * What a question to a ledger node and its answer are in bytes: canonical CBOR around the chain's own protobuf. Read strictly
 * on both sides; what an answer says is verified by the light client.
 */
import { concat } from '../../protocol/bytes.ts'
import { decodeEvidence, type Evidence, encodeEvidence } from '../../protocol/chain/evidence.ts'
import { encodeHeader } from '../../protocol/chain/header.ts'
import { decodeHeader, decodeLightBlock, encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { decodeProof, encodeProof } from '../../protocol/chain/merkle-proof.ts'
import { big, bytes, decodeAs, encodeAs, integer, record, text, word } from '../../protocol/record.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { LedgerRpc } from '../ports.ts'
import { MAX_BODY_BYTES } from './mqtt-frame.ts'

/** What can be asked, by the names of the port; `answer` is what comes back. */
export type Method = Exclude<keyof LedgerRpc, 'name'>
type Answer<M extends Method> = Awaited<ReturnType<LedgerRpc[M]>> extends Result<infer T> ? T : never

const INT64 = 2n ** 63n - 1n
const height = big(0n, INT64)
const gas = big(-INT64 - 1n, INT64)
const hash = bytes(32)
const any = bytes(0, MAX_BODY_BYTES)
const line = text(/^[^\n]{0,500}$/)
const uint32 = integer(0, 2 ** 32 - 1)

/** Appended to, never reordered: a method is its place. */
const method = word('status', 'lightBlock', 'query', 'submit', 'tx', 'oldHeader', 'reportEvidence')
const questionCodec = record({ method: [1, method] }, { height: [2, height], bytes: [3, any], at: [4, height] })

export type Question =
  | { readonly method: 'status' }
  | { readonly method: 'lightBlock'; readonly height: bigint }
  | { readonly method: 'query'; readonly key: Uint8Array; readonly height: bigint }
  | { readonly method: 'submit'; readonly tx: Uint8Array }
  | { readonly method: 'tx'; readonly hash: Uint8Array }
  | { readonly method: 'oldHeader'; readonly height: bigint; readonly at: bigint }
  | { readonly method: 'reportEvidence'; readonly evidence: Evidence }

export function encodeQuestion(question: Question): Uint8Array {
  const { method: asked } = question
  switch (asked) {
    case 'status':
      return encodeAs(questionCodec, { method: asked })
    case 'lightBlock':
      return encodeAs(questionCodec, { method: asked, height: question.height })
    case 'query':
      return encodeAs(questionCodec, { method: asked, height: question.height, bytes: question.key })
    case 'submit':
      return encodeAs(questionCodec, { method: asked, bytes: question.tx })
    case 'tx':
      return encodeAs(questionCodec, { method: asked, bytes: question.hash })
    case 'oldHeader':
      return encodeAs(questionCodec, { method: asked, height: question.height, at: question.at })
    case 'reportEvidence':
      return encodeAs(questionCodec, { method: asked, bytes: encodeEvidence(question.evidence) })
  }
}

export function decodeQuestion(body: Uint8Array): Result<Question> {
  const read = decodeAs(questionCodec, body, 'question', MAX_BODY_BYTES)
  if (!read.ok) return read
  const { method: asked, height: at, bytes: given, at: under } = read.value
  const isJust = (...fields: readonly string[]) =>
    Object.keys(read.value).sort().join() === ['method', ...fields].sort().join()
  if (asked === 'status' && isJust()) return ok({ method: asked })
  if (asked === 'lightBlock' && isJust('height')) return ok({ method: asked, height: at! })
  if (asked === 'query' && isJust('height', 'bytes')) return ok({ method: asked, height: at!, key: given! })
  if (asked === 'submit' && isJust('bytes')) return ok({ method: asked, tx: given! })
  if (asked === 'tx' && isJust('bytes') && given!.length === 32) return ok({ method: asked, hash: given! })
  if (asked === 'oldHeader' && isJust('height', 'at')) return ok({ method: asked, height: at!, at: under! })
  if (asked === 'reportEvidence' && isJust('bytes')) {
    const evidence = decodeEvidence(given!)
    return evidence.ok ? ok({ method: asked, evidence: evidence.value }) : evidence
  }
  return fail({ code: 'rpc.question', method: asked, reason: 'another set of fields' })
}

const statusCodec = record({ chainId: [1, text(/^[^\n]{0,50}$/)], height: [2, height] })
const queryCodec = record({ height: [1, height], proof: [2, any] }, { value: [3, any] })
const submitCodec = record({ code: [1, uint32], log: [2, line], hash: [3, hash] })
const txCodec = record({
  height: [1, height],
  tx: [2, any],
  proof: [3, any],
  code: [4, uint32],
  data: [5, any],
  gasWanted: [6, gas],
  gasUsed: [7, gas],
  resultProof: [8, any],
})
const accumulatedCodec = record({ aunts: [1, any], record: [2, any], proof: [3, any] })
const oldHeaderCodec = record({ header: [1, any] }, { accumulated: [2, accumulatedCodec] })

interface Form<T> {
  write(value: T): Uint8Array
  read(body: Uint8Array): Result<T>
}

const decoded = <T>(codec: Parameters<typeof decodeAs<T>>[0], body: Uint8Array): Result<T> =>
  decodeAs(codec, body, 'answer', MAX_BODY_BYTES)

const FORMS: { readonly [M in Method]: Form<Answer<M>> } = {
  status: { write: value => encodeAs(statusCodec, value), read: body => decoded(statusCodec, body) },
  lightBlock: { write: encodeLightBlock, read: decodeLightBlock },
  query: {
    write: ({ value, ...rest }) => encodeAs(queryCodec, value === undefined ? rest : { ...rest, value }),
    read: body => {
      const read = decoded(queryCodec, body)
      return read.ok ? ok({ value: undefined, ...read.value }) : read
    },
  },
  submit: {
    write: ({ code, log, hash: of }) =>
      encodeAs(submitCodec, { code, log: log.replaceAll('\n', ' ').slice(0, 500), hash: of }),
    read: body => decoded(submitCodec, body),
  },
  tx: {
    write: ({ height: at, tx, proof, result, resultProof }) =>
      encodeAs(txCodec, {
        height: at,
        tx,
        proof: encodeProof(proof),
        code: result.code,
        data: result.data,
        gasWanted: result.gasWanted,
        gasUsed: result.gasUsed,
        resultProof: encodeProof(resultProof),
      }),
    read: body => {
      const read = decoded(txCodec, body)
      if (!read.ok) return read
      const { height: at, tx, code, data, gasWanted, gasUsed } = read.value
      const proof = decodeProof(read.value.proof)
      if (!proof.ok) return proof
      const resultProof = decodeProof(read.value.resultProof)
      if (!resultProof.ok) return resultProof
      const result = { code, data, gasWanted, gasUsed }
      return ok({ height: at, tx, proof: proof.value, result, resultProof: resultProof.value })
    },
  },
  oldHeader: {
    write: ({ header, accumulated }) =>
      encodeAs(oldHeaderCodec, {
        header: encodeHeader(header),
        ...(accumulated === undefined
          ? {}
          : {
              accumulated: {
                aunts: concat(...accumulated.proof.aunts),
                record: accumulated.record,
                proof: accumulated.recordProof,
              },
            }),
      }),
    read: body => {
      const read = decoded(oldHeaderCodec, body)
      if (!read.ok) return read
      const header = decodeHeader(read.value.header)
      if (!header.ok) return header
      const { accumulated } = read.value
      if (accumulated === undefined) return ok({ header: header.value })
      const aunts = Array.from({ length: Math.ceil(accumulated.aunts.length / 32) }, (_, i) =>
        accumulated.aunts.subarray(i * 32, (i + 1) * 32),
      )
      const proven = { proof: { aunts }, record: accumulated.record, recordProof: accumulated.proof }
      return ok({ header: header.value, accumulated: proven })
    },
  },
  reportEvidence: {
    write: () => new Uint8Array(0),
    read: body => (body.length === 0 ? done : fail({ code: 'rpc.answer', reason: 'bytes after nothing' })),
  },
}

/** Faults that say something to a light client; every other is passed on as words. */
const faultCodec = record(
  { code: [1, word('rpc.refused', 'rpc.height-too-high', 'rpc.height-gone', 'rpc.no-tx')] },
  { words: [2, line], asked: [3, height], other: [4, height] },
)

const ANSWER = 0
const FAULT = 1

export function encodeAnswer<M extends Method>(method: M, answer: Result<Answer<M>>): Uint8Array {
  if (answer.ok) return concat(Uint8Array.of(ANSWER), (FORMS[method] as Form<Answer<M>>).write(answer.value))
  return concat(Uint8Array.of(FAULT), encodeAs(faultCodec, faultForm(answer.fault)))
}

function faultForm(fault: Fault) {
  const { code, asked, newest, oldest, hash: of } = fault
  if (code === 'rpc.height-too-high' && typeof asked === 'bigint' && typeof newest === 'bigint')
    return { code, asked, other: newest } as const
  if (code === 'rpc.height-gone' && typeof asked === 'bigint' && typeof oldest === 'bigint')
    return { code, asked, other: oldest } as const
  if (code === 'rpc.no-tx') return { code, words: String(of).slice(0, 64) } as const
  const words = code === 'rpc.refused' ? String(fault['message']) : code
  return { code: 'rpc.refused', words: words.replaceAll('\n', ' ').slice(0, 500) } as const
}

/** `node` is by what name the faults speak of whoever answered. */
export function decodeAnswer<M extends Method>(method: M, body: Uint8Array, node: string): Result<Answer<M>> {
  const bad = (reason: string) => fail({ code: 'rpc.answer', node, method, reason })
  if (body[0] === ANSWER) {
    const read = (FORMS[method] as Form<Answer<M>>).read(body.subarray(1))
    return read.ok ? read : bad(`${read.fault.code} ${String(read.fault['reason'] ?? '')}`.trim())
  }
  const read = body[0] === FAULT ? decodeAs(faultCodec, body.subarray(1), 'fault', MAX_BODY_BYTES) : undefined
  if (read?.ok !== true) return bad('neither an answer nor a fault')
  const { code, words = '', asked = 0n, other = 0n } = read.value
  if (code === 'rpc.height-too-high') return fail({ code, node, asked, newest: other })
  if (code === 'rpc.height-gone') return fail({ code, node, asked, oldest: other })
  return code === 'rpc.no-tx' ? fail({ code, node, hash: words }) : fail({ code, node, method, message: words })
}
