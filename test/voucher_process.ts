/** A process that redeems one code for many accounts at once: `voucher_process.ts SOCKET CODE USER …`; prints how many were credited. */
import { connect } from '../src/db/connection.ts';
import { redeemVoucher } from '../src/payments/vouchers.ts';

const [, , path = '', code = '', ...users] = process.argv;
const sql = connect({ path }, { max: 4, name: 'test vouchers', role: 'akai_app' });
const ended = await Promise.allSettled(users.map((user) => redeemVoucher(sql, user, code)));
process.stdout.write(String(ended.filter(({ status }) => status === 'fulfilled').length));
await sql.end({ timeout: 1 });
