/** Money: what the account holds, as it was last proven, and the bills of the day and the month. */

import type { WalletSaid } from '../answers.ts'
import type { Snapshot } from '../snapshot.ts'
import { useAsked, useServed } from './ask.ts'
import { Bill } from './bill.tsx'
import { clock, coins, UNKNOWN } from './format.ts'
import { Figure, Heading, Seal, Trouble } from './parts.tsx'

export function Money({ snapshot }: { readonly snapshot: Snapshot }) {
  const served = useServed().has('/api/wallet')
  return (
    <>
      <Heading>Money</Heading>
      {served ? <Wallet /> : <Wallets snapshot={snapshot} />}
      {snapshot.billed && <Bill period="day" whole />}
      {snapshot.billed && <Bill period="month" whole />}
      {!snapshot.billed && <p class="quiet">There is no bill: no tariff of a supplier is named under grid.</p>}
    </>
  )
}

function Wallet() {
  const asked = useAsked<WalletSaid>('/api/wallet', 10_000)
  const wallet = asked.value
  return (
    <section class="card wallet" aria-labelledby="wallet-title">
      <h2 id="wallet-title">Wallet</h2>
      <Trouble asked={asked} what="The wallet" />
      {wallet !== undefined && (
        <>
          <p class="headline">
            <strong>{wallet.balanceMicro === undefined ? UNKNOWN : coins(wallet.balanceMicro)}</strong>{' '}
            <span>{wallet.balanceMicro === undefined ? 'not proven yet' : 'to spend'}</span>
          </p>
          {wallet.proven !== undefined && (
            <p class="proof">
              <Seal />
              <span>
                Proven at height {wallet.proven.height}, signed by {wallet.proven.signed} of {wallet.proven.validators}{' '}
                validators, as of {clock(wallet.proven.time)}
              </span>
            </p>
          )}
          <dl class="figures small">
            <Figure label="Locked for running deals">{coins(wallet.lockedMicro)}</Figure>
            {wallet.sequence !== undefined && <Figure label="Next transaction">{wallet.sequence}</Figure>}
            {wallet.chain !== '' && <Figure label="Ledger">{wallet.chain}</Figure>}
            <div class="figure id">
              <dt>Account</dt>
              <dd>
                <code>{wallet.account}</code>
              </dd>
            </div>
          </dl>
        </>
      )}
    </section>
  )
}

const Wallets = ({ snapshot }: { readonly snapshot: Snapshot }) => (
  <section class="card" aria-labelledby="wallets-title">
    <h2 id="wallets-title">{snapshot.sites.length > 1 ? 'Wallets' : 'Wallet'}</h2>
    <table>
      <caption class="hidden">What each account holds</caption>
      <tbody>
        {snapshot.sites.map(({ name, walletMicro }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="amount">{walletMicro === null ? UNKNOWN : coins(walletMicro)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </section>
)
