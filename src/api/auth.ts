/** Signing up, in and out; the sessions of who is signed in; passwords. */

import { z } from 'zod';
import { changeAccount } from '../accounts/accounts.ts';
import { endSessions, listSessions, ownerOfSession, type User } from '../accounts/sessions.ts';
import { ApiError } from '../errors.ts';
import { mailLink, mailPasswordChanged } from '../mail/account_mails.ts';
import { forAnyone, forUser } from './endpoint.ts';
import { email, id, language, moment, password } from './forms.ts';

const user = z.object({
  id,
  email: z.string(),
  name: z.string(),
  language,
  admin: z.boolean(),
  emailVerified: z.boolean(),
  createdAt: moment,
});

function present({ sessionId: _, ...shown }: User): z.input<typeof user> {
  return shown;
}

/** An account that has just been made, or signed in to. */
const account = z.object({ user: z.object({ id, email: z.string() }) });

/** Where a password is only compared, any text may be tried. */
const anyPassword = z
  .string()
  .min(1)
  .max(1000)
  .meta({ examples: ['correct horse battery'] });

export const signUp = forAnyone({
  summary: 'Make an account with its wallet, and sign in to it.',
  body: z
    .strictObject({
      email,
      password,
      name: z.string().trim().min(1).max(100).optional(),
      language: language.optional(),
    })
    .meta({
      examples: [{ email: 'you@example.com', password: 'correct horse battery', language: 'bn' }],
    }),
  status: 201,
  answer: account,
  errors: ['email_registered', 'sign_up_closed', 'too_many_attempts'],
  handle: async ({ site, body: { name, ...given }, visit }) => {
    const { signIn } = site;
    const wanted = { language: visit.language, ...given, ...(name ? { name } : {}) };
    const made = await signIn.signUp(wanted, visit);
    await mailLink(site, 'verify', await signIn.linkToken('verify', made.email));
    const { user, cookies } = await signIn.signIn(made.email, given.password, visit);
    visit.setCookies(cookies);
    return { user };
  },
});

export const signIn = forAnyone({
  summary: 'Sign in: the session cookie comes with the answer.',
  body: z
    .strictObject({ email, password: anyPassword })
    .meta({ examples: [{ email: 'you@example.com', password: 'correct horse battery' }] }),
  answer: account,
  errors: ['wrong_credentials', 'too_many_attempts'],
  handle: async ({ site: { signIn }, body, visit }) => {
    const { user, cookies } = await signIn.signIn(body.email, body.password, visit);
    visit.setCookies(cookies);
    return { user };
  },
});

export const signOut = forAnyone({
  summary: 'End the session, if there is one.',
  status: 204,
  answer: z.null(),
  handle: async ({ site: { signIn }, visit }) => {
    visit.setCookies(await signIn.signOut(visit));
    return null;
  },
});

export const showSession = forUser({
  summary: 'Who is signed in.',
  answer: z.object({ user }),
  handle: ({ user }) => ({ user: present(user) }),
});

export const editAccount = forUser({
  summary: 'Change the name, or the language of mails: what is left out stays.',
  body: z
    .strictObject({ name: z.string().trim().min(1).max(100), language })
    .partial()
    .meta({ examples: [{ language: 'bn' }] }),
  answer: z.object({ user }),
  handle: async ({ site: { sql }, user, body }) => {
    await changeAccount(sql, user.id, body);
    return { user: present({ ...user, ...body }) };
  },
});

export const sessions = forUser({
  summary: 'Where the account is signed in, the latest first.',
  answer: z.object({
    sessions: z.array(
      z.object({
        id,
        /** The one that asks. */
        current: z.boolean(),
        createdAt: moment,
        seenAt: moment,
        expiresAt: moment,
        address: z.string().nullable(),
        userAgent: z.string().nullable(),
      }),
    ),
  }),
  handle: async ({ site: { sql }, user }) => {
    const all = await listSessions(sql, user.id);
    return { sessions: all.map((one) => ({ current: one.id === user.sessionId, ...one })) };
  },
});

export const endSession = forUser({
  summary: 'End one session of the account.',
  params: z.object({ id }),
  status: 204,
  answer: z.null(),
  errors: ['user_mismatch'],
  handle: async ({ site: { sql }, user, params: { id } }) => {
    const owner = await ownerOfSession(sql, id);
    if (owner === null) throw new ApiError('not_found', { message: 'There is no such session.' });
    if (owner !== user.id) throw new ApiError('user_mismatch');
    await endSessions(sql, user.id, { id });
    return null;
  },
});

export const endOtherSessions = forUser({
  summary: 'End all sessions of the account but this one.',
  status: 204,
  answer: z.null(),
  handle: async ({ site: { sql }, user }) => {
    await endSessions(sql, user.id, { except: user.sessionId });
    return null;
  },
});

export const changePassword = forUser({
  summary: 'Change the password. All other sessions end, and this one gets a new cookie.',
  body: z.strictObject({ currentPassword: anyPassword, newPassword: password }),
  status: 204,
  answer: z.null(),
  errors: ['too_many_attempts'],
  handle: async ({ site, user, body, visit }) => {
    const { currentPassword: current, newPassword: next } = body;
    visit.setCookies(await site.signIn.changePassword(user.id, { current, next }, visit));
    await mailPasswordChanged(site, user);
    return null;
  },
});

export const requestReset = forAnyone({
  summary: 'Mail a link for a new password. It says nothing of whether there is such an account.',
  body: z.strictObject({ email }),
  status: 202,
  answer: z.object({}),
  errors: ['too_many_attempts'],
  handle: async ({ site, body, visit }) => {
    await site.signIn.countMail(visit);
    await mailLink(site, 'reset', await site.signIn.linkToken('reset', body.email));
    return {};
  },
});

const token = z.string().min(1).max(200);

export const resetPassword = forAnyone({
  summary: 'Set a new password with the token of a mail. All sessions end.',
  body: z.strictObject({ token, newPassword: password }),
  status: 204,
  answer: z.null(),
  errors: ['invalid_link'],
  handle: async ({ site, body }) => {
    await mailPasswordChanged(site, await site.signIn.resetPassword(body.token, body.newPassword));
    return null;
  },
});

export const requestVerification = forUser({
  summary: 'Mail a link once more that proves the address of the account.',
  status: 202,
  answer: z.object({}),
  errors: ['too_many_attempts'],
  handle: async ({ site, user, visit }) => {
    await site.signIn.countMail(visit);
    await mailLink(site, 'verify', await site.signIn.linkToken('verify', user.email));
    return {};
  },
});

export const confirmEmail = forAnyone({
  summary: 'Prove the address of an account with the token of a mail.',
  body: z.strictObject({ token }),
  status: 204,
  answer: z.null(),
  errors: ['invalid_link'],
  handle: async ({ site, body }) => {
    await site.signIn.verifyEmail(body.token);
    return null;
  },
});
