"""The tables of what happens besides pitches: actions, batted balls, credits, substitutions, reviews, decisions."""

from __future__ import annotations

from collections.abc import Iterator

from feed_json import Json, Row, at, moment, text, two
from feed_plays import play_head


def events(doc: Json) -> Iterator[tuple[Json, Json]]:
    """Yield every event with its play."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        for event in play["playEvents"]:
            yield play, event


def timed(event: Json) -> Row:
    """Return when an event began and ended."""
    return {"start_time": moment(event.get("startTime")), "end_time": moment(event.get("endTime"))}


def play_actions(doc: Json) -> Iterator[Row]:
    """Yield a row an event that is no pitch."""
    for play, event in events(doc):
        if event["isPitch"]:
            continue
        details, rule = event["details"], event["details"].get("violation") or {}
        yield play_head(play) | timed(event) | {
            "event_index": event["index"], "event_kind": event["type"], "play_id": event.get("playId"),
            "action_play_id": event.get("actionPlayId"), "batter_id": play["matchup"]["batter"]["id"],
            "pitcher_id": play["matchup"]["pitcher"]["id"], "event": details.get("event"),
            "event_type": details.get("eventType"), "description": details.get("description"),
            "result_code": details.get("code"), "call_code": at(details, "call.code"),
            "call": at(details, "call.description"), "player_id": at(event, "player.id"),
            "is_substitution": event.get("isSubstitution"), "is_base_running_play": event.get("isBaseRunningPlay"),
            "is_scoring_play": details.get("isScoringPlay"), "is_out": details.get("isOut"),
            "is_in_play": details.get("isInPlay"), "is_strike": details.get("isStrike"),
            "is_ball": details.get("isBall"), "has_review": details.get("hasReview"),
            "from_catcher": details.get("fromCatcher"), "runner_going": details.get("runnerGoing"),
            "disengagement_number": details.get("disengagementNum"), "pitch_number": event.get("pitchNumber"),
            "away_score": details.get("awayScore"), "home_score": details.get("homeScore"),
            "balls": at(event, "count.balls"), "strikes": at(event, "count.strikes"), "outs": at(event, "count.outs"),
            "base": text(event.get("base")), "injury_type": event.get("injuryType"), "umpire": event.get("umpire"),
            "violation_type": rule.get("type"), "violation_description": rule.get("description"),
            "violation_player_id": at(rule, "player.id"), "violation_player_name": at(rule, "player.fullName"),
        }  # fmt: skip


def batted_balls(doc: Json) -> Iterator[Row]:
    """Yield a row a ball that was hit and tracked."""
    for play, event in events(doc):
        if "hitData" not in event:
            continue
        hit, details, matchup, result = event["hitData"], event["details"], play["matchup"], play["result"]
        yield play_head(play) | {
            "event_index": event["index"], "play_id": event.get("playId"), "pitch_number": event.get("pitchNumber"),
            "batter_id": matchup["batter"]["id"], "batter_name": matchup["batter"]["fullName"],
            "bat_side_code": matchup["batSide"]["code"], "pitcher_id": matchup["pitcher"]["id"],
            "pitcher_name": matchup["pitcher"]["fullName"], "pitch_hand_code": matchup["pitchHand"]["code"],
            "pitch_type": at(details, "type.code"), "start_speed": two(at(event, "pitchData.startSpeed")),
            "is_in_play": details.get("isInPlay"), "is_out": details.get("isOut"),
            "call_code": at(details, "call.code"), "description": details.get("description"),
            "event": result.get("event"), "event_type": result.get("eventType"), "rbi": result.get("rbi"),
            "launch_speed": two(hit.get("launchSpeed")), "launch_angle": two(hit.get("launchAngle")),
            "total_distance": two(hit.get("totalDistance")), "trajectory": hit.get("trajectory"),
            "hardness": hit.get("hardness"), "hit_location": text(hit.get("location")),
            "hit_coordinate_x": two(at(hit, "coordinates.coordX")),
            "hit_coordinate_y": two(at(hit, "coordinates.coordY")),
        }  # fmt: skip


def fielding_credits(doc: Json) -> Iterator[Row]:
    """Yield a row a credit of a fielder: a play has runners, a runner has credits."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        for number, runner in enumerate(play["runners"]):
            for place, credit in enumerate(runner.get("credits") or []):
                yield play_head(play) | {
                    "runner_index": number, "credit_index": place, "play_index": runner["details"].get("playIndex"),
                    "runner_id": runner["details"]["runner"]["id"], "is_out": runner["movement"].get("isOut"),
                    "out_number": runner["movement"].get("outNumber"), "player_id": credit["player"]["id"],
                    "position_code": credit["position"]["code"], "position_name": credit["position"]["name"],
                    "position_type": credit["position"]["type"],
                    "position_abbreviation": credit["position"]["abbreviation"], "credit": credit["credit"],
                }  # fmt: skip


def substitutions(doc: Json) -> Iterator[Row]:
    """Yield a row a change of players."""
    for play, event in events(doc):
        if not event.get("isSubstitution"):
            continue
        details = event["details"]
        order = None if event.get("battingOrder") is None else int(event["battingOrder"])
        yield play_head(play) | timed(event) | {
            "event_index": event["index"], "event": details.get("event"), "event_type": details.get("eventType"),
            "description": details.get("description"), "player_id": event["player"]["id"],
            "replaced_player_id": at(event, "replacedPlayer.id"), "position_code": at(event, "position.code"),
            "position_name": at(event, "position.name"), "position_type": at(event, "position.type"),
            "position_abbreviation": at(event, "position.abbreviation"), "batting_order": order,
            "batting_slot": None if order is None else order // 100, "base": text(event.get("base")),
            "away_score": details.get("awayScore"), "home_score": details.get("homeScore"),
            "outs": at(event, "count.outs"),
        }  # fmt: skip


def reviews(doc: Json) -> Iterator[Row]:
    """Yield a row a review, of an event or of a play as a whole."""
    for play in doc["liveData"]["plays"]["allPlays"]:
        found = [
            (event["reviewDetails"], event["index"], event["details"].get("description"))
            for event in play["playEvents"]
            if event.get("reviewDetails")
        ]
        if play.get("reviewDetails"):
            found.append((play["reviewDetails"], None, play["result"].get("description")))
        for review, index, words in found:
            yield play_head(play) | {
                "event_index": index, "review_index": -1 if index is None else index,
                "review_of": "play" if index is None else "event", "batter_id": play["matchup"]["batter"]["id"],
                "pitcher_id": play["matchup"]["pitcher"]["id"], "description": words,
                "review_type": review.get("reviewType"), "is_overturned": review.get("isOverturned"),
                "is_in_progress": review.get("inProgress"), "challenge_team_id": review.get("challengeTeamId"),
                "player_id": at(review, "player.id"), "player_name": at(review, "player.fullName"),
                "additional_reviews": review.get("additionalReviews"),
            }  # fmt: skip


def decisions(doc: Json) -> Iterator[Row]:
    """Yield a row a pitcher with a decision, once there are any."""
    for name, pitcher in (doc["liveData"].get("decisions") or {}).items():
        yield {"decision": name, "player_id": pitcher["id"], "player_name": pitcher["fullName"]}
