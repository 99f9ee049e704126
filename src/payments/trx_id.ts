/** The id of a transfer where one method takes money over several wallets, each with ids of its own. */

/** `bkash`, ` ck250nroq5 ` → `BKASH:CK250NROQ5`: one spelling for each transfer, so that it can be unique for ever. */
export function trxIdOf(wallet: string, trxId: string): string {
  const plain = (text: string): string => text.replace(/\s+/g, '').toUpperCase();
  return `${plain(wallet)}:${plain(trxId)}`;
}
