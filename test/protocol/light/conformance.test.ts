/** The 37 published light-client cases, made with the Go implementation (informalsystems/conformance-tests). */
import { readdirSync } from 'node:fs'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { instantOf, timeOfText } from '../../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseSignedHeader, parseValidators } from '../../../protocol/chain/rpc-json.ts'
import type { LightOptions } from '../../../protocol/light/predicates.ts'
import { type VerifiedBlock, verify } from '../../../protocol/light/verify.ts'
import type { Instant } from '../../../protocol/time.ts'
import { noSharedData, sharedPath, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('light-client conformance')

const instantOfText = (text: string): Instant => instantOf(timeOfText(text)!)

/** Undefined where the JSON itself is refused. */
function blockOf(signedHeader: unknown, validators: unknown): LightBlock | undefined {
  const signed = parseSignedHeader(signedHeader)
  const set = parseValidators(validators)
  return signed.ok && set.ok ? { ...signed.value, validators: set.value } : undefined
}

function outcome(file: string): { readonly expected: string; readonly seen: string } {
  const one = JSON.parse(sharedText(`light/${file}`))
  const options: LightOptions = {
    chainId: one.initial.signed_header.header.chain_id,
    trustingPeriodMs: Number(BigInt(one.initial.trusting_period) / 1_000_000n),
    maxClockDriftMs: 1000,
    trustLevel: { numerator: 1, denominator: 3 },
  }
  const verifier = createVerifier()
  // The cases begin with a trusted header and the set after it; in all of them that is also its own set.
  const block = blockOf(one.initial.signed_header, one.initial.next_validator_set.validators)!
  let trusted = {
    header: block.header,
    hash: hashHeader(block.header),
    block,
    signedBy: [],
  } as unknown as VerifiedBlock
  for (const input of one.input) {
    const untrusted = blockOf(input.signed_header, input.validator_set.validators)
    if (untrusted === undefined) return { expected: one.expected_output, seen: 'error' }
    const verdict = verify(trusted, untrusted, options, instantOfText(input.now ?? one.initial.now), verifier)
    if (verdict.kind !== 'trusted') return { expected: one.expected_output, seen: 'error' }
    trusted = verdict.block
  }
  return { expected: one.expected_output, seen: 'no error' }
}

test.skipIf(noSharedData, 'each of the 37 cases ends as it must', () => {
  const files = readdirSync(sharedPath('light'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.json'),
  )
  assert.is(files.length, 37)
  for (const file of files) {
    const { expected, seen } = outcome(file)
    assert.is(seen, expected, file)
  }
})

test.run()
