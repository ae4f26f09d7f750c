/**
 * This site's money on its ledger, as it was last proven:
 *
 *     GET /api/wallet     {site, chain, account, balanceMicro, lockedMicro, sequence,
 *                          proven: {height, headerHeight, time, signed, validators}}
 *
 * Each question has the account proven anew, for the next one. Money is micro-units as text; what is locked is no longer part of
 * the balance: it pays for the deals that are not over. Before the first proof balance, sequence and proof are absent.
 */
import type { Handler } from '../../drivers/http/server.ts'
import { toHex } from '../../protocol/bytes.ts'
import { costCeil } from '../../protocol/quantity.ts'
import { isOver } from '../../protocol/trade/deal-state.ts'
import type { Agent } from '../compose.ts'
import type { WalletSaid } from './answers.ts'

type Owner = Pick<Agent, 'config' | 'trading' | 'grid' | 'account'>

function lockedMicro({ trading, grid }: Owner): bigint {
  let sum = 0n
  for (const { runner } of [...trading.deals(), ...(grid?.deals() ?? [])]) {
    const deal = runner.deal()
    const { role, lockHeight, contract } = deal
    if (role === 'buyer' && lockHeight !== undefined && !isOver(deal)) sum += costCeil(contract.energy, contract.price)
  }
  return sum
}

function viewWallet(agent: Owner): WalletSaid {
  const { config, account } = agent
  const newest = account.newest()
  return {
    ...{ site: config.site, chain: config.ledger?.chain ?? '', account: toHex(account.address) },
    lockedMicro: lockedMicro(agent).toString(),
    ...(newest === undefined
      ? {}
      : {
          balanceMicro: newest.balance.toString(),
          sequence: newest.sequence.toString(),
          proven: {
            height: newest.proof.stateHeight.toString(),
            headerHeight: newest.proof.headerHeight.toString(),
            time: newest.proof.headerTime,
            signed: newest.proof.signedBy.length,
            validators: newest.proof.validators,
          },
        }),
  }
}

export function walletRoute(agent: Owner): Handler {
  let asking = false
  async function refresh(): Promise<void> {
    if (asking) return
    asking = true
    // What cannot be proven leaves what was proven before, with its height; why is the light client's to say.
    await agent.account.refresh()
    asking = false
  }
  return () => {
    void refresh()
    return { kind: 'json', status: 200, value: viewWallet(agent) }
  }
}
